//! One probe that runs: what it is to do, and what is known by it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use probe::ProbeKind;

use super::phase::{Gate, Phase};
use super::state::{State, Status, Transition};
use crate::attempt::Attempt;
use crate::spec::{ProbeSpec, endpoint};

/// One probe of one target.
#[derive(Debug)]
pub struct Entry {
    /// Whose probe it is.
    pub target: Arc<str>,
    /// What it is to do.
    pub spec: ProbeSpec,
    pub(super) gate: Arc<Gate>,
    attempt: RwLock<Arc<Attempt>>,
    state: Mutex<State>,
}

impl Entry {
    pub(super) fn new(
        target: Arc<str>,
        spec: ProbeSpec,
        gate: Arc<Gate>,
        attempt: Attempt,
        now: Duration,
    ) -> Self {
        Self {
            target,
            state: Mutex::new(State::new(&spec, now)),
            spec,
            gate,
            attempt: RwLock::new(Arc::new(attempt)),
        }
    }

    /// What is known. Held only for as long as it takes to look.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the status `now`.
    pub fn status(&self, now: Duration) -> Status {
        self.status_of(&self.state(), now)
    }

    /// Returns the status `now` of a state that the caller has locked.
    pub fn status_of(&self, state: &State, now: Duration) -> Status {
        state.status(&self.spec, self.phase(), now)
    }

    /// Returns the status that has not been announced yet, if it is another one than before.
    pub(super) fn announce(&self, now: Duration) -> Option<Transition> {
        self.state().announce(&self.spec, self.phase(), now)
    }

    /// Phase of the target.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.gate.phase()
    }

    /// Returns `true` if a status counts as healthy for this probe.
    ///
    /// Before its first result liveness is healthy, as in the kubelet: otherwise a container that starts would be killed.
    #[must_use]
    pub fn is_healthy(&self, status: Status) -> bool {
        let when = self.spec.healthy_when;
        match status {
            Status::Healthy => true,
            Status::Unhealthy => false,
            Status::NeverRun => when.never_run || self.spec.kind == ProbeKind::Liveness,
            Status::Stale => when.stale,
            Status::Unknown => when.unknown,
        }
    }

    /// Its name in endpoints, groups and gRPC: `livez/TARGET`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", endpoint(self.spec.kind), self.target)
    }

    /// Whether it waits for its target to start.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.spec.kind != ProbeKind::Startup && !self.gate.is_open()
    }

    /// Whether it is its turn: a startup's until it has succeeded, the others' from then on.
    pub(super) fn has_turn(&self) -> bool {
        self.gate.is_open() != (self.spec.kind == ProbeKind::Startup)
    }

    pub(super) async fn turn(&self) {
        self.gate
            .wait_until_open(self.spec.kind != ProbeKind::Startup)
            .await;
    }

    pub(super) fn attempt(&self) -> Arc<Attempt> {
        let attempt = self.attempt.read().unwrap_or_else(PoisonError::into_inner);
        attempt.clone()
    }

    /// From now on it is done so: files that it names may hold something else than before.
    pub(super) fn set_attempt(&self, attempt: Attempt) {
        let mut place = self.attempt.write().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(attempt);
    }
}
