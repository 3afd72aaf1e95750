//! JSON representation of probes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::report::millis;
use crate::engine::history::Sample;
use crate::engine::state::{LastAttempt, Transition};
use crate::engine::{ProbeHandle, Target};
use crate::explain;
use crate::outcome::FailureReason;

/// Wall-clock time at which the engine's monotonic clock was zero.
#[derive(Clone, Copy)]
pub(super) struct ClockEpoch(Timestamp);

impl ClockEpoch {
    pub(super) fn new(clock: &probe::Clock) -> Self {
        let elapsed = SignedDuration::try_from(clock.elapsed()).unwrap_or(SignedDuration::MAX);
        Self(
            clock
                .now()
                .saturating_sub(elapsed)
                .unwrap_or(Timestamp::MIN),
        )
    }

    /// Formats a time of the engine's clock as a timestamp with milliseconds.
    pub(super) fn timestamp(self, time: Duration) -> String {
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        let at = self.0.saturating_add(time).unwrap_or(Timestamp::MAX);
        format!("{at:.3}")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProbeView<'a> {
    pub(super) name: String,
    target: &'a str,
    dependency: bool,
    handler: String,
    status: &'static str,
    healthy: bool,
    since: String,
    waits_for_startup: bool,
    period_ms: f64,
    timeout_ms: f64,
    failure_threshold: u32,
    success_threshold: u32,
    successful: u64,
    failed: u64,
    errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<LastView>,
    transitions: Vec<TransitionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<SampleView>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LastView {
    at: String,
    result: &'static str,
    duration_ms: f64,
    #[serde(flatten)]
    reason: ReasonView,
    output: Box<str>,
}

#[derive(Serialize)]
pub(super) struct ReasonView {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
}

#[derive(Serialize)]
pub(super) struct TransitionView {
    at: String,
    from: &'static str,
    to: &'static str,
    #[serde(flatten)]
    reason: ReasonView,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SampleView {
    at: String,
    result: &'static str,
    duration_ms: f64,
}

impl From<Option<FailureReason>> for ReasonView {
    fn from(reason: Option<FailureReason>) -> Self {
        Self {
            reason: reason.map(|reason| reason.kind),
            code: reason.and_then(|reason| reason.code),
        }
    }
}

impl LastView {
    fn new(last: &LastAttempt, epoch: ClockEpoch) -> Self {
        Self {
            at: epoch.timestamp(last.at),
            result: last.result.as_str(),
            duration_ms: millis(last.took),
            reason: last.reason.into(),
            output: last.output.clone(),
        }
    }
}

impl TransitionView {
    pub(super) fn new(transition: &Transition, epoch: ClockEpoch) -> Self {
        Self {
            at: epoch.timestamp(transition.at),
            from: transition.from.as_str(),
            to: transition.to.as_str(),
            reason: transition.reason.into(),
        }
    }
}

impl SampleView {
    pub(super) fn new(sample: &Sample, epoch: ClockEpoch) -> Self {
        Self {
            at: epoch.timestamp(sample.ended_at()),
            result: sample.result.as_str(),
            duration_ms: millis(sample.took()),
        }
    }
}

impl<'a> ProbeView<'a> {
    pub(super) fn new(
        target: &'a Target,
        entry: &ProbeHandle,
        now: Duration,
        epoch: ClockEpoch,
        history: bool,
    ) -> Self {
        let state = entry.state();
        let status = entry.status_of(&state, now);
        let transitions = state.transitions.iter().rev();
        let samples = || {
            let samples = state.history.iter();
            samples
                .map(|sample| SampleView::new(sample, epoch))
                .collect()
        };
        Self {
            name: entry.name(),
            target: &target.name,
            dependency: target.dependency,
            handler: explain::handler(&entry.spec.handler),
            status: status.as_str(),
            healthy: entry.is_healthy(status),
            since: epoch.timestamp(state.since()),
            waits_for_startup: entry.waits_for_startup(),
            period_ms: millis(entry.spec.period),
            timeout_ms: millis(entry.spec.timeout),
            failure_threshold: entry.spec.failure_threshold,
            success_threshold: entry.spec.success_threshold,
            successful: state.totals.successful,
            failed: state.totals.failed,
            errors: state.totals.errors,
            last: state.last().map(|last| LastView::new(last, epoch)),
            transitions: transitions
                .map(|transition| TransitionView::new(transition, epoch))
                .collect(),
            history: history.then(samples),
        }
    }
}
