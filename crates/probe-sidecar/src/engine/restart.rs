//! Detection of restarts: a sidecar is not notified of containers, so it infers from attempts that its target restarted.
//!
//! The kubelet restarts a container after a liveness failure, and after a startup failure. The new process may take the
//! complete budget of its startup probe again, and must not be killed for the failure of its predecessor.

use std::sync::Arc;
use std::time::Duration;

use probe::ProbeKind;

use super::handle::ProbeHandle;
use super::history::AttemptResult;
use super::phase::Phase;
use super::snapshot::Target;
use super::state::State;
use super::{Engine, Shared};
use crate::spec::Health;

/// Probe state before an attempt's result is recorded.
pub(super) struct PreviousState {
    is_enabled: bool,
    was_refused: bool,
    had_failed: bool,
    decided: Option<Health>,
}

impl Shared {
    pub(super) fn previous_state(&self, entry: &ProbeHandle, now: Duration) -> PreviousState {
        let snapshot = self.snapshot();
        let target = snapshot.target(&entry.target);
        let state = entry.state();
        let (was_refused, decided) = (was_refused(&state), decided(&state));
        drop(state);
        PreviousState {
            is_enabled: entry.is_enabled(),
            was_refused,
            had_failed: target.is_some_and(|target| has_failed(target, now)),
            decided,
        }
    }

    /// Changes the phase of the target after an attempt of one of its probes.
    pub(super) fn update_phase(&self, entry: &ProbeHandle, before: &PreviousState, now: Duration) {
        let snapshot = self.snapshot();
        let Some(target) = snapshot.target(&entry.target) else {
            return;
        };
        if !before.is_enabled || target.probe(ProbeKind::Startup).is_none() {
            return;
        }
        let (is_refused, decided) = {
            let state = entry.state();
            (was_refused(&state), decided(&state))
        };
        if entry.spec.kind == ProbeKind::Startup && decided == Some(Health::Healthy) {
            return self.change_phase(target, Phase::Started, now);
        }
        let has_failed_now =
            decided == Some(Health::Unhealthy) && before.decided != Some(Health::Unhealthy);
        let fails_liveness = has_failed_now && entry.spec.kind == ProbeKind::Liveness;
        // No process listens any more where one did: it has exited, and its successor starts.
        let has_exited = is_refused && before.had_failed && !before.was_refused;
        if has_exited || (fails_liveness && is_refused) {
            self.change_phase(target, Phase::Starting, now);
        } else if has_failed_now && entry.spec.kind == ProbeKind::Startup {
            target.gate.set(Phase::StartupFailed);
            self.record_transitions(target, now);
        } else if fails_liveness {
            target.gate.reset_polls();
        }
    }

    /// Enters a phase in which no earlier result of the target counts.
    fn change_phase(&self, target: &Target, phase: Phase, now: Duration) {
        for entry in &target.probes {
            // A startup that has succeeded stays so until the next restart.
            if phase == Phase::Starting || entry.spec.kind != ProbeKind::Startup {
                entry.state().restart(&entry.spec, now);
            }
        }
        target.gate.set(phase);
        if phase == Phase::Starting {
            target.gate.set_awaits_poll(true);
        }
        self.record_transitions(target, now);
    }

    fn record_transitions(&self, target: &Target, now: Duration) {
        for entry in &target.probes {
            self.record_transition(entry, now);
        }
    }
}

impl Engine {
    /// Records a request of the kubelet about a target, before the response.
    ///
    /// The kubelet polls only while the container runs. So the first request after a restart, or after the start of the
    /// sidecar, starts the budget of the startup probe: images are pulled and back-offs pass before.
    pub fn record_poll(&self, entry: &Arc<ProbeHandle>) {
        let (snapshot, now) = (self.snapshot(), self.now());
        let Some(target) = snapshot.target(&entry.target) else {
            return;
        };
        let is_restart = target.probe(ProbeKind::Startup).is_some()
            && !self.is_stopped()
            && target.gate.record_poll()
            && !is_serving(target);
        if is_restart {
            self.0.change_phase(target, Phase::Starting, now);
            target.gate.set_awaits_poll(false);
        }
    }

    /// Counts an unhealthy liveness answer to the kubelet, which restarts the container after `threshold` of them.
    ///
    /// This detects a restart that attempts did not show: the startup phase of the target starts again.
    pub fn count_poll(&self, entry: &Arc<ProbeHandle>, threshold: u32) {
        let (snapshot, now) = (self.snapshot(), self.now());
        let Some(target) = snapshot.target(&entry.target) else {
            return;
        };
        let counts = entry.spec.kind == ProbeKind::Liveness
            && target.probe(ProbeKind::Startup).is_some()
            && has_failed(target, now)
            && !self.is_stopped();
        if counts && target.gate.count_poll() >= threshold {
            self.0.change_phase(target, Phase::Starting, now);
        }
    }
}

/// Returns `true` if the target has started and its last liveness attempt succeeded.
fn is_serving(target: &Target) -> bool {
    let liveness = target.probe(ProbeKind::Liveness);
    let succeeded = liveness.is_none_or(|liveness| {
        let state = liveness.state();
        state
            .last()
            .is_none_or(|last| last.result == AttemptResult::Success)
    });
    target.gate.has_started() && succeeded
}

/// Returns `true` if the liveness probe requests a restart of the container.
fn has_failed(target: &Target, now: Duration) -> bool {
    target
        .probe(ProbeKind::Liveness)
        .is_some_and(|liveness| !liveness.is_healthy(liveness.status(now)))
}

fn decided(state: &State) -> Option<Health> {
    state.decided().map(|(decided, _)| decided)
}

/// Returns `true` if the last attempt found no listener.
fn was_refused(state: &State) -> bool {
    state.last().is_some_and(|last| {
        last.result == AttemptResult::Failure
            && last.reason.is_some_and(|why| why.kind == "refused")
    })
}
