//! The loop of one probe.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt as _;
use probe::ProbeError;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::entry::Entry;
use super::history::{Mark, Sample};
use super::state::{Status, Transition};
use super::{Event, Shared};
use crate::finding::Finding;

/// An attempt keeps its own time. One that does not within this much more is dropped.
const SLACK: Duration = Duration::from_secs(2);

/// Probes until it is dropped, and with it the attempt that is under way.
pub(super) async fn run(shared: Arc<Shared>, entry: Arc<Entry>, first: Duration) {
    sleep(first + entry.spec.initial_delay).await;
    let mut ticks = interval_at(Instant::now(), entry.spec.period);
    // An attempt that outlasts its period is followed by one at the next tick, and by no more than one.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        if !entry.has_turn() {
            entry.turn().await;
            ticks.reset_immediately();
        }
        let due = shared.announcing(&entry, ticks.tick()).await;
        if !entry.has_turn() {
            continue;
        }
        shared.lateness.add(due.elapsed());
        let started = Instant::now();
        let found = shared.announcing(&entry, shared.make(&entry)).await;
        shared.record(&entry, started.elapsed(), found);
    }
}

impl Shared {
    /// One attempt. A broken one must not end its successors.
    async fn make(&self, entry: &Entry) -> Result<Finding, ProbeError> {
        let attempt = entry.attempt();
        let most = entry.spec.timeout;
        let making = AssertUnwindSafe(self.attempts.make(&attempt, most)).catch_unwind();
        match timeout(most.saturating_add(SLACK), making).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => {
                tracing::error!(
                    probe = entry.name(),
                    "an attempt panicked; the probe goes on"
                );
                Err(ProbeError::unknown("the attempt panicked"))
            }
            Err(_) => Err(ProbeError::unknown("the attempt did not end in time")),
        }
    }

    /// Runs `work`, and announces meanwhile that the latest result has become too old.
    async fn announcing<T>(&self, entry: &Arc<Entry>, work: impl Future<Output = T>) -> T {
        let longest = entry.spec.period.max(entry.spec.timeout + SLACK);
        let mut work = std::pin::pin!(work);
        loop {
            let now = self.clock.elapsed();
            let left = entry.state().overdue_at(&entry.spec).checked_sub(now);
            let left = match left {
                Some(left) if left <= longest => left + Duration::from_millis(1),
                // Either `work` ends sooner, or the age is announced already.
                _ => return work.await,
            };
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep(left) => self.announce(entry, self.clock.elapsed()),
            }
        }
    }

    fn record(&self, entry: &Arc<Entry>, took: Duration, found: Result<Finding, ProbeError>) {
        let now = self.clock.elapsed();
        let took = found.as_ref().map_or(took, |finding| finding.took);
        let mark = match &found {
            Ok(finding) if is_success(finding) => Mark::Success,
            Ok(_) => Mark::Failure,
            Err(_) => Mark::Error,
        };
        let before = self.observation(entry, now);
        entry.state().observe(now, took, found);
        if self.results.receiver_count() > 0 {
            let sample = Sample::new(now, took, mark);
            let _ = self.results.send(Event::Result(entry.clone(), sample));
        }
        self.announce(entry, now);
        self.follow(entry, &before, now);
    }

    /// Logs and sends the probe's status, if it is another one than before.
    pub(super) fn announce(&self, entry: &Arc<Entry>, now: Duration) {
        if let Some(transition) = entry.announce(now) {
            log(entry, &transition);
            self.tell(entry, transition);
            self.remember();
        }
    }

    fn tell(&self, entry: &Arc<Entry>, transition: Transition) {
        let transition = Arc::new(transition);
        for channel in [&self.changes, &self.results] {
            if channel.receiver_count() > 0 {
                let _ = channel.send(Event::Transition(entry.clone(), transition.clone()));
            }
        }
    }

    /// Has the groups that hold open notice that they are healthy, even if nobody asks.
    fn remember(&self) {
        if self.remembers.load(Ordering::Relaxed) {
            let (set, now) = (self.set(), self.clock.elapsed());
            for group in &set.groups {
                let _ = set.standing(group, now);
            }
        }
    }
}

fn is_success(finding: &Finding) -> bool {
    use probe::Verdict;
    matches!(finding.verdict, Verdict::Success | Verdict::Warning)
}

fn log(entry: &Entry, transition: &Transition) {
    let probe = entry.name();
    let state = entry.state();
    let said = state.last().map(|last| &*last.output).unwrap_or_default();
    match transition.to {
        Status::Healthy => tracing::info!(probe, "healthy"),
        Status::Unhealthy => {
            let reason = transition.reason.map(|why| why.to_string());
            tracing::warn!(probe, reason, said, "unhealthy");
        }
        Status::Unknown => {
            tracing::warn!(probe, said, "unknown: attempts cannot be judged");
        }
        Status::Stale => tracing::warn!(probe, "stale: no result for too long"),
        Status::NeverRun => tracing::info!(probe, "startup phase began again"),
    }
}
