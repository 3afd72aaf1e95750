//! What one probe has come to. Pure: it is told what an attempt found and when, and says what that changes.
//!
//! The kubelet stops a probe that has failed until there is a new container. Nobody tells a sidecar of containers, so here
//! a probe goes on: a success after a failure makes it healthy again.

use std::time::Duration;

use probe::tracker::Tracker;
use probe::{ProbeError, ProbeKind, ProbeResult, Verdict};

use super::history::{KEPT, Latest, Mark, Sample};
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
    /// No attempt has ended yet.
    NeverRun,
    /// There was no result for too long.
    Stale,
    /// Attempts could not be made, or not enough of them say the same yet.
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

/// A probe came to another result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When, on the engine's clock.
    pub at: Duration,
    /// What it was; none at first, and after a startup began anew.
    pub from: Option<bool>,
    /// What it is now: true is healthy.
    pub to: Option<bool>,
    /// Why, if it failed.
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
    decided: Option<bool>,
    since: Duration,
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
            since: now,
            counted: None,
            last: None,
            history: Latest::with_room(KEPT),
            transitions: Latest::new(TRANSITIONS),
            totals: Totals::default(),
        }
    }

    /// Takes note of an attempt that ended `now`.
    pub(super) fn observe(
        &mut self,
        now: Duration,
        took: Duration,
        found: Result<Finding, ProbeError>,
    ) -> Option<Transition> {
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
        self.last = Some(Last {
            at: now,
            took,
            mark,
            reason,
            output: capped(output),
        });
        if mark == Mark::Error {
            return None;
        }
        self.counted = Some(now);
        let result = self.tracker.observe(mark == Mark::Success);
        // The kubelet would wait for a new container here.
        self.tracker.release();
        let decided = result? == ProbeResult::Success;
        self.decide(Some(decided), now, reason)
    }

    /// A startup begins anew.
    pub(super) fn restart(&mut self, spec: &ProbeSpec, now: Duration) -> Option<Transition> {
        self.tracker = tracker(spec);
        self.decide(None, now, None)
    }

    fn decide(
        &mut self,
        to: Option<bool>,
        at: Duration,
        reason: Option<Why>,
    ) -> Option<Transition> {
        let from = self.decided;
        if from == to {
            return None;
        }
        self.decided = to;
        self.since = at;
        let transition = Transition {
            at,
            from,
            to,
            reason: reason.filter(|_| to == Some(false)),
        };
        self.transitions.push(transition.clone());
        Some(transition)
    }

    /// What is known `now`.
    #[must_use]
    pub fn status(&self, spec: &ProbeSpec, now: Duration) -> Status {
        let Some(last) = &self.last else {
            return Status::NeverRun;
        };
        match self.decided {
            // Who has started has started: the probe is over.
            Some(true) if spec.kind == ProbeKind::Startup => Status::Healthy,
            None => Status::Unknown,
            Some(_) if self.age(now) > Some(spec.stale_after) => match last.mark {
                Mark::Error => Status::Unknown,
                _ => Status::Stale,
            },
            Some(true) => Status::Healthy,
            Some(false) => Status::Unhealthy,
        }
    }

    /// How long ago the last attempt that counted ended.
    #[must_use]
    pub fn age(&self, now: Duration) -> Option<Duration> {
        self.counted.map(|at| now.saturating_sub(at))
    }

    /// What the probe was decided to be last.
    #[must_use]
    pub fn decided(&self) -> Option<bool> {
        self.decided
    }

    /// Since when, on the engine's clock.
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
