//! Probes as JSON shows them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::report::millis;
use crate::engine::history::Sample;
use crate::engine::state::{Last, Transition};
use crate::engine::{Entry, Target};
use crate::explain;
use crate::finding::Why;

/// When the engine's clock showed nothing, by the wall's.
#[derive(Clone, Copy)]
pub(super) struct Origin(Timestamp);

impl Origin {
    pub(super) fn of(clock: &probe::Clock) -> Self {
        let elapsed = SignedDuration::try_from(clock.elapsed()).unwrap_or(SignedDuration::MAX);
        Self(
            clock
                .now()
                .saturating_sub(elapsed)
                .unwrap_or(Timestamp::MIN),
        )
    }

    /// To the millisecond.
    pub(super) fn at(self, time: Duration) -> String {
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
    why: WhyView,
    output: Box<str>,
}

#[derive(Serialize)]
pub(super) struct WhyView {
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
    why: WhyView,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SampleView {
    at: String,
    result: &'static str,
    duration_ms: f64,
}

impl From<Option<Why>> for WhyView {
    fn from(why: Option<Why>) -> Self {
        Self {
            reason: why.map(|why| why.word),
            code: why.and_then(|why| why.code),
        }
    }
}

impl LastView {
    fn new(last: &Last, origin: Origin) -> Self {
        Self {
            at: origin.at(last.at),
            result: last.mark.as_str(),
            duration_ms: millis(last.took),
            why: last.reason.into(),
            output: last.output.clone(),
        }
    }
}

impl TransitionView {
    pub(super) fn new(transition: &Transition, origin: Origin) -> Self {
        Self {
            at: origin.at(transition.at),
            from: transition.from.as_str(),
            to: transition.to.as_str(),
            why: transition.reason.into(),
        }
    }
}

impl SampleView {
    pub(super) fn new(sample: &Sample, origin: Origin) -> Self {
        Self {
            at: origin.at(sample.at()),
            result: sample.mark.as_str(),
            duration_ms: millis(sample.took()),
        }
    }
}

impl<'a> ProbeView<'a> {
    pub(super) fn new(
        target: &'a Target,
        entry: &Entry,
        now: Duration,
        origin: Origin,
        history: bool,
    ) -> Self {
        let state = entry.state();
        let status = entry.status_of(&state, now);
        let transitions = state.transitions.iter().rev();
        let samples = || {
            let samples = state.history.iter();
            samples
                .map(|sample| SampleView::new(sample, origin))
                .collect()
        };
        Self {
            name: entry.name(),
            target: &target.name,
            dependency: target.dependency,
            handler: explain::handler(&entry.spec.handler),
            status: status.as_str(),
            healthy: entry.is_healthy(status),
            since: origin.at(state.since()),
            waits_for_startup: entry.waits(),
            period_ms: millis(entry.spec.period),
            timeout_ms: millis(entry.spec.timeout),
            failure_threshold: entry.spec.failure_threshold,
            success_threshold: entry.spec.success_threshold,
            successful: state.totals.successful,
            failed: state.totals.failed,
            errors: state.totals.errors,
            last: state.last().map(|last| LastView::new(last, origin)),
            transitions: transitions
                .map(|transition| TransitionView::new(transition, origin))
                .collect(),
            history: history.then(samples),
        }
    }
}
