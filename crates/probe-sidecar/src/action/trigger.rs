//! Evaluation of triggers.

use std::time::Duration;

use crate::engine::state::Status;
use crate::engine::{Engine, Event, Snapshot};
use crate::outcome::FailureReason;
use crate::spec::{ActionSpec, Member};

/// Occurrence of the status that triggers an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trigger {
    /// Time of the transition on the clock of the engine.
    pub(super) since: Duration,
    pub(super) reason: Option<FailureReason>,
    pub(super) output: Box<str>,
}

/// Evaluates the trigger of one action.
#[derive(Debug, Default)]
pub(super) struct TriggerState {
    /// Status of a group, and the time of its last change.
    group: Option<(Status, Duration)>,
}

impl TriggerState {
    /// Returns the trigger if the probe or group has the status of the action.
    pub(super) fn evaluate(&mut self, engine: &Engine, spec: &ActionSpec) -> Option<Trigger> {
        if engine.is_stopped() {
            return None;
        }
        match &spec.source {
            Member::Probe { target, kind } => {
                let snapshot = engine.snapshot();
                let entry = snapshot.target(target)?.probe(*kind)?;
                let state = entry.state();
                let last = state.last();
                (state.recorded() == spec.becomes).then(|| Trigger {
                    since: state.since(),
                    reason: last.and_then(|last| last.reason),
                    output: last.map(|last| last.output.clone()).unwrap_or_default(),
                })
            }
            Member::Group(name) => {
                let now = engine.now();
                let status = group_status(&engine.snapshot(), name, now)?;
                let since = match self.group {
                    Some((known, since)) if known == status => since,
                    _ => now,
                };
                self.group = Some((status, since));
                (status == spec.becomes).then(|| Trigger {
                    since,
                    reason: None,
                    output: failing_members(&engine.snapshot(), name, now),
                })
            }
        }
    }
}

/// Returns the status of a group; `NeverRun` until each of its probes has had a first result.
fn group_status(snapshot: &Snapshot, name: &str, now: Duration) -> Option<Status> {
    let group = snapshot.group(name)?;
    if snapshot.group_status(group, now).healthy {
        return Some(Status::Healthy);
    }
    let is_pending = group.spec.members.iter().any(|member| match member {
        Member::Group(name) => group_status(snapshot, name, now) == Some(Status::NeverRun),
        probe => snapshot
            .member(probe)
            .is_some_and(|entry| entry.state().recorded() == Status::NeverRun),
    });
    Some(if is_pending {
        Status::NeverRun
    } else {
        Status::Unhealthy
    })
}

fn failing_members(snapshot: &Snapshot, name: &str, now: Duration) -> Box<str> {
    let members = snapshot.group(name).into_iter();
    let members = members.flat_map(|group| &group.spec.members);
    let failing: Vec<String> = members
        .filter(|member| !snapshot.is_member_healthy(member, now))
        .map(ToString::to_string)
        .collect();
    failing.join(", ").into()
}

/// Returns the trigger of a failure that started the startup phase of its target, so that its status is reset already.
pub(super) fn reset_trigger(spec: &ActionSpec, event: &Event) -> Option<Trigger> {
    let Event::Transition(entry, transition) = event else {
        return None;
    };
    let is_source = match &spec.source {
        Member::Probe { target, kind } => *entry.target == **target && entry.spec.kind == *kind,
        Member::Group(_) => false,
    };
    let is_triggered = is_source
        && transition.to == spec.becomes
        && transition.to == Status::Unhealthy
        && entry.waits_for_startup();
    let output = entry.state().last().map(|last| last.output.clone());
    is_triggered.then(|| Trigger {
        since: transition.at,
        reason: transition.reason,
        output: output.unwrap_or_default(),
    })
}
