//! Detection of restarts: a sidecar is not notified of containers, so it infers from attempts that its target starts again.
//!
//! The kubelet restarts a container after a liveness failure, and after a startup failure. The new process may take the
//! whole budget of its startup probe again, and must not be killed for the failure of the one before it.

use std::sync::Arc;
use std::time::Duration;

use probe::ProbeKind;

use super::entry::Entry;
use super::history::Mark;
use super::phase::Phase;
use super::set::Target;
use super::state::State;
use super::{Engine, Shared};

/// Probe state before an attempt's result is recorded.
pub(super) struct Before {
    has_turn: bool,
    was_refused: bool,
    had_failed: bool,
    decided: Option<bool>,
}

impl Shared {
    pub(super) fn observation(&self, entry: &Entry, now: Duration) -> Before {
        let set = self.set();
        let target = set.target(&entry.target);
        let state = entry.state();
        let (was_refused, decided) = (was_refused(&state), decided(&state));
        drop(state);
        Before {
            has_turn: entry.has_turn(),
            was_refused,
            had_failed: target.is_some_and(|target| has_failed(target, now)),
            decided,
        }
    }

    /// Changes the target's phase after an attempt of one of its probes.
    pub(super) fn follow(&self, entry: &Entry, before: &Before, now: Duration) {
        let set = self.set();
        let Some(target) = set.target(&entry.target) else {
            return;
        };
        if !before.has_turn || target.probe(ProbeKind::Startup).is_none() {
            return;
        }
        let (is_refused, decided) = {
            let state = entry.state();
            (was_refused(&state), decided(&state))
        };
        if entry.spec.kind == ProbeKind::Startup && decided == Some(true) {
            return self.change_phase(target, Phase::Started, now);
        }
        let has_failed_now = decided == Some(false) && before.decided != Some(false);
        let fails_liveness = has_failed_now && entry.spec.kind == ProbeKind::Liveness;
        // No process listens any more where one did: it has exited, and the next one starts.
        let has_exited = is_refused && before.had_failed && !before.was_refused;
        if has_exited || (fails_liveness && is_refused) {
            self.change_phase(target, Phase::Starting, now);
        } else if has_failed_now && entry.spec.kind == ProbeKind::Startup {
            target.gate.set(Phase::StartupFailed);
            self.announce_all(target, now);
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
        self.announce_all(target, now);
    }

    fn announce_all(&self, target: &Target, now: Duration) {
        for entry in &target.probes {
            self.announce(entry, now);
        }
    }
}

impl Engine {
    /// Counts an unhealthy liveness answer to the kubelet, which restarts the container after `threshold` of them.
    ///
    /// A restart that attempts did not show begins the startup phase of the target here.
    pub fn count_poll(&self, entry: &Arc<Entry>, threshold: u32) {
        let (set, now) = (self.set(), self.now());
        let Some(target) = set.target(&entry.target) else {
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

/// Returns `true` if the kubelet is asked to restart the target's container.
fn has_failed(target: &Target, now: Duration) -> bool {
    target
        .probe(ProbeKind::Liveness)
        .is_some_and(|liveness| !liveness.is_healthy(liveness.status(now)))
}

fn decided(state: &State) -> Option<bool> {
    state.decided().map(|(decided, _)| decided)
}

/// Returns `true` if the last attempt found no listener.
fn was_refused(state: &State) -> bool {
    state.last().is_some_and(|last| {
        last.mark == Mark::Failure && last.reason.is_some_and(|why| why.word == "refused")
    })
}
