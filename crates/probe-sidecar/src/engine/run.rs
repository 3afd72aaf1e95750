//! Loop of one probe.

use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt as _;
use probe::ProbeError;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::handle::ProbeHandle;
use super::history::{AttemptResult, Sample};
use super::state::{Status, Transition};
use super::{Event, Shared};
use crate::outcome::AttemptOutcome;

/// Attempts enforce their own timeout. This is how much longer the engine waits before it aborts one that does not.
const TIMEOUT_GRACE: Duration = Duration::from_secs(2);

/// Runs the probe until the future is dropped, which aborts the attempt in flight.
pub(super) async fn run(shared: Arc<Shared>, entry: Arc<ProbeHandle>, first: Duration) {
    let delay = {
        let state = entry.state();
        let is_new = state.last().is_none();
        let jitter = if is_new {
            random_below(entry.spec.jitter)
        } else {
            Duration::ZERO
        };
        state.start_delay(&entry.spec, shared.clock.elapsed()) + jitter
    };
    shared.watch_overdue(&entry, sleep(first + delay)).await;
    let mut ticks = interval_at(Instant::now(), entry.spec.period);
    // After an attempt that outlasts its period the next one starts at the next tick.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        if !entry.is_enabled() {
            entry.wait_until_enabled().await;
            ticks.reset_immediately();
        }
        let due = shared.watch_overdue(&entry, ticks.tick()).await;
        if !entry.is_enabled() {
            continue;
        }
        shared.schedule_delay.record(due.elapsed());
        let started = Instant::now();
        let result = shared
            .watch_overdue(&entry, shared.run_attempt(&entry))
            .await;
        shared.record(&entry, started.elapsed(), result);
    }
}

impl Shared {
    /// Runs one attempt. A panic in an attempt does not stop the probe.
    async fn run_attempt(&self, entry: &ProbeHandle) -> Result<AttemptOutcome, ProbeError> {
        let attempt = entry.attempt();
        let limit = entry.spec.timeout;
        let making = AssertUnwindSafe(self.runner.run(&attempt, limit)).catch_unwind();
        match timeout(limit.saturating_add(TIMEOUT_GRACE), making).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                tracing::error!(
                    probe = entry.name(),
                    "attempt panicked; the probe continues"
                );
                Err(ProbeError::unknown("the attempt panicked"))
            }
            Err(_) => Err(ProbeError::unknown("the attempt did not finish in time")),
        }
    }

    /// Runs `work`, and records the transition if the last result becomes too old meanwhile.
    async fn watch_overdue<T>(&self, entry: &Arc<ProbeHandle>, work: impl Future<Output = T>) -> T {
        let longest = entry.spec.period.max(entry.spec.timeout + TIMEOUT_GRACE);
        let mut work = std::pin::pin!(work);
        loop {
            let now = self.clock.elapsed();
            let expires_at = entry.state().expires_at(&entry.spec, now);
            let left = match expires_at.map(|at| at - now) {
                Some(left) if left <= longest => left + Duration::from_millis(1),
                // `work` finishes earlier, or the transition is recorded already.
                _ => return work.await,
            };
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep(left) => self.record_transition(entry, self.clock.elapsed()),
            }
        }
    }

    fn record(
        &self,
        entry: &Arc<ProbeHandle>,
        took: Duration,
        result: Result<AttemptOutcome, ProbeError>,
    ) {
        let now = self.clock.elapsed();
        let took = result.as_ref().map_or(took, |outcome| outcome.took);
        let attempt_result = match &result {
            Ok(outcome) if is_success(outcome) => AttemptResult::Success,
            Ok(_) => AttemptResult::Failure,
            Err(_) => AttemptResult::Error,
        };
        let before = self.previous_state(entry, now);
        entry.state().observe(now, took, result);
        if self.results.receiver_count() > 0 {
            let sample = Sample::new(now, took, attempt_result);
            let _ = self.results.send(Event::Result(entry.clone(), sample));
        }
        self.record_transition(entry, now);
        self.update_phase(entry, &before, now);
    }

    /// Logs and broadcasts the status of the probe if it changed.
    pub(super) fn record_transition(&self, entry: &Arc<ProbeHandle>, now: Duration) {
        if let Some(transition) = entry.record_transition(now) {
            log(entry, &transition);
            self.broadcast(entry, transition);
            self.refresh_fail_open_groups();
        }
    }

    fn broadcast(&self, entry: &Arc<ProbeHandle>, transition: Transition) {
        let transition = Arc::new(transition);
        for channel in [&self.changes, &self.results] {
            if channel.receiver_count() > 0 {
                let _ = channel.send(Event::Transition(entry.clone(), transition.clone()));
            }
        }
    }

    /// Re-evaluates fail-open groups so that they record having been healthy even when no request evaluates them.
    fn refresh_fail_open_groups(&self) {
        if self.has_fail_open_groups.load(Ordering::Relaxed) {
            let (snapshot, now) = (self.snapshot(), self.clock.elapsed());
            for group in &snapshot.groups {
                let _ = snapshot.group_status(group, now);
            }
        }
    }
}

/// Returns a random duration below `limit`.
fn random_below(limit: Duration) -> Duration {
    // Every RandomState has different keys, which is enough to spread instances.
    let random = RandomState::new().hash_one(limit);
    let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.checked_rem(nanos).unwrap_or(0))
}

fn is_success(outcome: &AttemptOutcome) -> bool {
    use probe::Verdict;
    matches!(outcome.verdict, Verdict::Success | Verdict::Warning)
}

fn log(entry: &ProbeHandle, transition: &Transition) {
    let probe = entry.name();
    let state = entry.state();
    let output = state.last().map(|last| &*last.output).unwrap_or_default();
    match transition.to {
        Status::Healthy => tracing::info!(probe, "healthy"),
        Status::Unhealthy => {
            let reason = transition.reason.map(|why| why.to_string());
            tracing::warn!(probe, reason, output, "unhealthy");
        }
        Status::Unknown => {
            tracing::warn!(probe, output, "unknown: attempts cannot be judged");
        }
        Status::Stale => tracing::warn!(probe, "stale: no result for too long"),
        Status::NeverRun => tracing::info!(probe, "startup phase started again"),
    }
}
