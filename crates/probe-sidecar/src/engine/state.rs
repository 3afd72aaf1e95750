//! State of one probe, without a clock or tasks: it computes the status from attempts and a time.
//!
//! The kubelet suspends a failed probe until there is a new container. A sidecar is not notified of containers, so its
//! probes continue: a success after a failure makes a probe healthy again.

use std::time::Duration;

use probe::tracker::Tracker;
use probe::{ProbeError, ProbeKind, ProbeResult, Verdict};

use super::history::{AttemptResult, HISTORY_LEN, RingBuffer, Sample};
use super::phase::Phase;
use super::totals::Totals;
use crate::outcome::{AttemptOutcome, FailureReason};
use crate::spec::{Health, ProbeSpec};

/// Maximum length of the output that is kept, in bytes.
pub const MAX_OUTPUT: usize = 1024;
/// Number of transitions that are kept of each probe.
const TRANSITIONS: usize = 10;

/// Status of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The success threshold was reached last.
    Healthy,
    /// The failure threshold was reached last.
    Unhealthy,
    /// No attempt has finished since the target started, or the target has not started yet.
    NeverRun,
    /// No attempt has finished for too long.
    Stale,
    /// Attempts could not be judged for too long, or the first threshold is not reached yet.
    Unknown,
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 5] = [
        Self::Healthy,
        Self::Unhealthy,
        Self::NeverRun,
        Self::Stale,
        Self::Unknown,
    ];

    /// Name in JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::NeverRun => "neverRun",
            Self::Stale => "stale",
            Self::Unknown => "unknown",
        }
    }
}

/// Reason of a liveness probe whose target's startup probe failed.
const STARTUP_FAILED: FailureReason = FailureReason {
    kind: "startup_failed",
    code: None,
};

/// A change of status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Time on the engine's clock.
    pub at: Duration,
    /// Status before.
    pub from: Status,
    /// New status.
    pub to: Status,
    /// Reason of the last failure, if `to` is unhealthy.
    pub reason: Option<FailureReason>,
}

/// Details of the last attempt.
#[derive(Clone, Debug)]
pub struct LastAttempt {
    /// Time of its end on the clock of the engine.
    pub at: Duration,
    /// Duration.
    pub took: Duration,
    /// Effect on the thresholds.
    pub result: AttemptResult,
    /// Reason of a failure.
    pub reason: Option<FailureReason>,
    /// Output, at most [`MAX_OUTPUT`] bytes.
    pub output: Box<str>,
}

/// State of a probe.
#[derive(Clone, Debug)]
pub struct State {
    tracker: Tracker,
    /// Result that a threshold decided last.
    decided: Option<Health>,
    decided_at: Duration,
    /// Status after the latest transition, and its time.
    recorded: Status,
    since: Duration,
    /// Start time of the probe or of its target, whichever is later.
    started_at: Duration,
    /// `true` until the first attempt since then has finished.
    is_fresh: bool,
    /// Time of the last attempt that counted.
    counted_at: Option<Duration>,
    last: Option<LastAttempt>,
    /// Latest attempts, oldest first.
    pub history: RingBuffer<Sample>,
    /// Latest transitions, oldest first.
    pub transitions: RingBuffer<Transition>,
    /// Counters for metrics.
    pub totals: Totals,
}

impl State {
    pub(super) fn new(spec: &ProbeSpec, now: Duration) -> Self {
        Self {
            tracker: tracker(spec),
            decided: None,
            decided_at: now,
            recorded: Status::NeverRun,
            since: now,
            started_at: now,
            is_fresh: true,
            counted_at: None,
            last: None,
            history: RingBuffer::with_capacity(HISTORY_LEN),
            transitions: RingBuffer::new(TRANSITIONS),
            totals: Totals::default(),
        }
    }

    /// Records an attempt that finished `now`.
    pub(super) fn observe(
        &mut self,
        now: Duration,
        took: Duration,
        result: Result<AttemptOutcome, ProbeError>,
    ) {
        let (attempt_result, reason, output) = match result {
            Ok(outcome) => {
                let success = matches!(outcome.verdict, Verdict::Success | Verdict::Warning);
                let attempt_result = if success {
                    AttemptResult::Success
                } else {
                    AttemptResult::Failure
                };
                (attempt_result, outcome.reason, outcome.output)
            }
            Err(error) => (AttemptResult::Error, None, error.message),
        };
        self.totals.count(attempt_result, took, reason);
        self.history.push(Sample::new(now, took, attempt_result));
        self.is_fresh = false;
        self.last = Some(LastAttempt {
            at: now,
            took,
            result: attempt_result,
            reason,
            output: truncated(output),
        });
        if attempt_result == AttemptResult::Error {
            return;
        }
        self.counted_at = Some(now);
        let decided = self
            .tracker
            .observe(attempt_result == AttemptResult::Success);
        // The kubelet would wait for a new container here.
        self.tracker.resume();
        let decided = decided.map(|result| {
            if result == ProbeResult::Success {
                Health::Healthy
            } else {
                Health::Unhealthy
            }
        });
        if decided.is_some() && decided != self.decided {
            self.decided = decided;
            self.decided_at = now;
        }
    }

    /// Returns the state for a changed probe: results and history are kept, and attempts count towards the new thresholds.
    pub(super) fn for_spec(&self, spec: &ProbeSpec) -> Self {
        Self {
            tracker: tracker(spec),
            ..self.clone()
        }
    }

    /// Returns the delay until the next attempt of a probe that is started `now`.
    pub(super) fn start_delay(&self, spec: &ProbeSpec, now: Duration) -> Duration {
        let due = match &self.last {
            Some(last) => last.at.saturating_add(spec.period),
            None => self.started_at.saturating_add(spec.initial_delay),
        };
        due.saturating_sub(now)
    }

    /// Resets the result because the target starts `now`. History and totals are kept.
    pub(super) fn restart(&mut self, spec: &ProbeSpec, now: Duration) {
        self.tracker = tracker(spec);
        self.decided = None;
        self.started_at = now;
        self.is_fresh = true;
        self.counted_at = None;
    }

    /// Records the status `now` as a transition if it changed.
    pub(super) fn record_transition(
        &mut self,
        spec: &ProbeSpec,
        phase: Phase,
        now: Duration,
    ) -> Option<Transition> {
        let to = self.status(spec, phase, now);
        // Attempts before the first threshold are not a transition.
        let is_pending = to == Status::Unknown && !self.is_unknown(spec, now);
        if to == self.recorded || is_pending {
            return None;
        }
        let from = std::mem::replace(&mut self.recorded, to);
        self.since = now;
        let reason = match (to, phase) {
            (Status::Unhealthy, Phase::StartupFailed) if spec.kind == ProbeKind::Liveness => {
                Some(STARTUP_FAILED)
            }
            (Status::Unhealthy, _) => self.last.as_ref().and_then(|last| last.reason),
            _ => None,
        };
        let transition = Transition {
            at: now,
            from,
            to,
            reason,
        };
        self.totals.count_transition(to);
        self.transitions.push(transition.clone());
        Some(transition)
    }

    /// Returns the status `now` of a probe whose target is in this phase.
    #[must_use]
    pub fn status(&self, spec: &ProbeSpec, phase: Phase, now: Duration) -> Status {
        match (spec.kind, phase) {
            (ProbeKind::Startup, _) | (_, Phase::Started) => self.own_status(spec, now),
            (ProbeKind::Liveness, Phase::StartupFailed) => Status::Unhealthy,
            _ => Status::NeverRun,
        }
    }

    fn own_status(&self, spec: &ProbeSpec, now: Duration) -> Status {
        if self.is_fresh {
            return Status::NeverRun;
        }
        match self.decided {
            // A startup probe does not run again after its success.
            Some(Health::Healthy) if spec.kind == ProbeKind::Startup => Status::Healthy,
            _ if self.stale_at(spec) < now => Status::Stale,
            _ if self.is_unknown(spec, now) => Status::Unknown,
            // The kubelet's initial liveness result is success.
            None if spec.kind == ProbeKind::Liveness => Status::Healthy,
            None => Status::Unknown,
            Some(Health::Healthy) => Status::Healthy,
            Some(Health::Unhealthy) => Status::Unhealthy,
        }
    }

    /// Returns the time at which the probe is stale unless another attempt finishes.
    fn stale_at(&self, spec: &ProbeSpec) -> Duration {
        let last = self.last.as_ref().map_or(self.started_at, |last| last.at);
        last.max(self.started_at).saturating_add(spec.stale_after)
    }

    /// Returns the time at which the probe is unknown unless an attempt counts, if the last one could not be judged.
    fn unknown_at(&self, spec: &ProbeSpec) -> Option<Duration> {
        let is_error = self
            .last
            .as_ref()
            .is_some_and(|last| last.result == AttemptResult::Error);
        let after = spec.unknown_after.filter(|_| is_error)?;
        let counted = self.counted_at.unwrap_or(self.started_at);
        Some(counted.saturating_add(after))
    }

    fn is_unknown(&self, spec: &ProbeSpec, now: Duration) -> bool {
        self.unknown_at(spec).is_some_and(|at| at < now)
    }

    /// Returns the next time at which the status changes without an attempt.
    pub(super) fn expires_at(&self, spec: &ProbeSpec, now: Duration) -> Option<Duration> {
        let times = [Some(self.stale_at(spec)), self.unknown_at(spec)];
        times.into_iter().flatten().filter(|at| *at >= now).min()
    }

    /// Returns the age of the last attempt that counted.
    #[must_use]
    pub fn age(&self, now: Duration) -> Option<Duration> {
        self.counted_at.map(|at| now.saturating_sub(at))
    }

    /// Returns the result that a threshold decided last, and its time.
    #[must_use]
    pub fn decided(&self) -> Option<(Health, Duration)> {
        Some((self.decided?, self.decided_at))
    }

    /// Time of the latest transition on the engine's clock.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.since
    }

    /// Returns the status after the latest transition.
    #[must_use]
    pub fn recorded(&self) -> Status {
        self.recorded
    }

    /// Returns details of the last attempt.
    #[must_use]
    pub fn last(&self) -> Option<&LastAttempt> {
        self.last.as_ref()
    }
}

fn tracker(spec: &ProbeSpec) -> Tracker {
    Tracker::new(spec.kind, spec.success_threshold, spec.failure_threshold)
}

fn truncated(mut output: String) -> Box<str> {
    if output.len() > MAX_OUTPUT {
        let end = (0..=MAX_OUTPUT)
            .rev()
            .find(|at| output.is_char_boundary(*at));
        output.truncate(end.unwrap_or(0));
    }
    output.into_boxed_str()
}

#[cfg(test)]
mod tests;
