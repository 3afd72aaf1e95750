//! State of one probe, without time or tasks of its own: attempts and the time go in, its status comes out.
//!
//! The kubelet stops a probe that has failed until there is a new container. A sidecar is not notified of containers, so
//! its probes go on: a success after a failure makes a probe healthy again.

use std::time::Duration;

use probe::tracker::Tracker;
use probe::{ProbeError, ProbeKind, ProbeResult, Verdict};

use super::history::{KEPT, Latest, Mark, Sample};
use super::phase::Phase;
use super::totals::Totals;
use crate::finding::{Finding, Why};
use crate::spec::ProbeSpec;

/// The most that is kept of what an attempt said.
pub const MAX_OUTPUT: usize = 1024;
/// So many transitions are remembered of each probe.
const TRANSITIONS: usize = 10;

/// What is known of a target by one of its probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Its success threshold was reached last.
    Healthy,
    /// Its failure threshold was reached last.
    Unhealthy,
    /// No attempt has ended since the target started, or the target has not started yet.
    NeverRun,
    /// There was no result for too long.
    Stale,
    /// Attempts could not be judged for too long, or the first threshold was not reached yet.
    Unknown,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Healthy,
        Self::Unhealthy,
        Self::NeverRun,
        Self::Stale,
        Self::Unknown,
    ];

    /// Its word in JSON and metrics.
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
const STARTUP_FAILED: Why = Why {
    word: "startup_failed",
    code: None,
};

/// A change of status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Time on the engine's clock.
    pub at: Duration,
    /// Status before.
    pub from: Status,
    /// Status from now on.
    pub to: Status,
    /// Reason of the last failure, if `to` is unhealthy.
    pub reason: Option<Why>,
}

/// What the last attempt said.
#[derive(Clone, Debug)]
pub struct Last {
    /// When it ended, on the engine's clock.
    pub at: Duration,
    /// What it took.
    pub took: Duration,
    /// How it ended.
    pub mark: Mark,
    /// Why it failed.
    pub reason: Option<Why>,
    /// What was said, at most [`MAX_OUTPUT`] bytes of it.
    pub output: Box<str>,
}

/// One probe's memory.
#[derive(Debug)]
pub struct State {
    tracker: Tracker,
    /// Result that a threshold decided last: `true` is healthy.
    decided: Option<bool>,
    decided_at: Duration,
    /// Status that was announced last, and when.
    announced: Status,
    since: Duration,
    /// Time of the start: of the probe, or of its target.
    started_at: Duration,
    /// `true` until the first attempt since then has ended.
    is_fresh: bool,
    counted: Option<Duration>,
    last: Option<Last>,
    /// The attempts so far, oldest first.
    pub history: Latest<Sample>,
    /// The latest changes, oldest first.
    pub transitions: Latest<Transition>,
    /// Everything that was counted.
    pub totals: Totals,
}

impl State {
    pub(super) fn new(spec: &ProbeSpec, now: Duration) -> Self {
        Self {
            tracker: tracker(spec),
            decided: None,
            decided_at: now,
            announced: Status::NeverRun,
            since: now,
            started_at: now,
            is_fresh: true,
            counted: None,
            last: None,
            history: Latest::with_room(KEPT),
            transitions: Latest::new(TRANSITIONS),
            totals: Totals::default(),
        }
    }

    /// Records an attempt that ended `now`.
    pub(super) fn observe(
        &mut self,
        now: Duration,
        took: Duration,
        found: Result<Finding, ProbeError>,
    ) {
        let (mark, reason, output) = match found {
            Ok(finding) => {
                let success = matches!(finding.verdict, Verdict::Success | Verdict::Warning);
                let mark = if success {
                    Mark::Success
                } else {
                    Mark::Failure
                };
                (mark, finding.reason, finding.output)
            }
            Err(error) => (Mark::Error, None, error.message),
        };
        self.totals.count(mark, took, reason);
        self.history.push(Sample::new(now, took, mark));
        self.is_fresh = false;
        self.last = Some(Last {
            at: now,
            took,
            mark,
            reason,
            output: capped(output),
        });
        if mark == Mark::Error {
            return;
        }
        self.counted = Some(now);
        let result = self.tracker.observe(mark == Mark::Success);
        // The kubelet would wait for a new container here.
        self.tracker.resume();
        let decided = result.map(|result| result == ProbeResult::Success);
        if decided.is_some() && decided != self.decided {
            self.decided = decided;
            self.decided_at = now;
        }
    }

    /// Forgets every result, because the target starts `now`. History and totals stay.
    pub(super) fn restart(&mut self, spec: &ProbeSpec, now: Duration) {
        self.tracker = tracker(spec);
        self.decided = None;
        self.started_at = now;
        self.is_fresh = true;
        self.counted = None;
    }

    /// Records the status `now` as a transition, if it is another one than was announced last.
    pub(super) fn announce(
        &mut self,
        spec: &ProbeSpec,
        phase: Phase,
        now: Duration,
    ) -> Option<Transition> {
        let to = self.status(spec, phase, now);
        // The first attempts below a threshold are no news.
        let is_early = to == Status::Unknown && !self.is_overdue(spec, now);
        if to == self.announced || is_early {
            return None;
        }
        let from = std::mem::replace(&mut self.announced, to);
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
            // A startup probe is over once it has succeeded.
            Some(true) if spec.kind == ProbeKind::Startup => Status::Healthy,
            _ if self.is_overdue(spec, now) => match self.last.as_ref().map(|last| last.mark) {
                Some(Mark::Error) => Status::Unknown,
                _ => Status::Stale,
            },
            // The kubelet's initial liveness result is success.
            None if spec.kind == ProbeKind::Liveness => Status::Healthy,
            None => Status::Unknown,
            Some(true) => Status::Healthy,
            Some(false) => Status::Unhealthy,
        }
    }

    /// Returns `true` if there was no result for longer than the probe allows.
    fn is_overdue(&self, spec: &ProbeSpec, now: Duration) -> bool {
        !self.is_fresh && self.overdue_at(spec) < now
    }

    /// Last moment at which the latest result still holds.
    pub(super) fn overdue_at(&self, spec: &ProbeSpec) -> Duration {
        let last = self.counted.unwrap_or(self.started_at);
        last.saturating_add(spec.stale_after)
    }

    /// How long ago the last attempt that counted ended.
    #[must_use]
    pub fn age(&self, now: Duration) -> Option<Duration> {
        self.counted.map(|at| now.saturating_sub(at))
    }

    /// Result that a threshold decided last, and when: `true` is healthy.
    #[must_use]
    pub fn decided(&self) -> Option<(bool, Duration)> {
        Some((self.decided?, self.decided_at))
    }

    /// Time of the latest transition on the engine's clock.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.since
    }

    /// What the last attempt said.
    #[must_use]
    pub fn last(&self) -> Option<&Last> {
        self.last.as_ref()
    }
}

fn tracker(spec: &ProbeSpec) -> Tracker {
    Tracker::new(spec.kind, spec.success_threshold, spec.failure_threshold)
}

fn capped(mut output: String) -> Box<str> {
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
