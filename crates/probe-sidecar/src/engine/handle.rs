//! A running probe: its specification and state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use probe::ProbeKind;

use super::phase::{Phase, StartupGate};
use super::state::{State, Status, Transition};
use crate::attempt::Attempt;
use crate::spec::{ProbeSpec, endpoint_name};

/// A running probe of a target.
#[derive(Debug)]
pub struct ProbeHandle {
    /// Name of the target.
    pub target: Arc<str>,
    /// Effective configuration.
    pub spec: ProbeSpec,
    pub(super) gate: Arc<StartupGate>,
    attempt: RwLock<Arc<Attempt>>,
    state: Mutex<State>,
}

impl ProbeHandle {
    pub(super) fn new(
        target: Arc<str>,
        spec: ProbeSpec,
        gate: Arc<StartupGate>,
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

    /// Creates the successor of a probe whose configuration changed, with its results and history.
    pub(super) fn successor(&self, spec: ProbeSpec, attempt: Attempt) -> Self {
        Self {
            target: self.target.clone(),
            state: Mutex::new(self.state().for_spec(&spec)),
            spec,
            gate: self.gate.clone(),
            attempt: RwLock::new(Arc::new(attempt)),
        }
    }

    /// Locks the state. Do not hold the lock across an `await`.
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

    /// Records the status as a transition if it changed.
    pub(super) fn record_transition(&self, now: Duration) -> Option<Transition> {
        self.state()
            .record_transition(&self.spec, self.phase(), now)
    }

    /// Phase of the target.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.gate.phase()
    }

    /// Returns `true` if a status counts as healthy for this probe.
    ///
    /// Liveness is healthy before its first result, as in the kubelet: otherwise a starting container would be killed.
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

    /// Name in endpoints, groups and gRPC: `livez/TARGET`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", endpoint_name(self.spec.kind), self.target)
    }

    /// Returns `true` if the probe waits for the startup probe of its target.
    #[must_use]
    pub fn waits_for_startup(&self) -> bool {
        self.spec.kind != ProbeKind::Startup && !self.gate.has_started()
    }

    /// Returns `true` if attempts are due: of a startup probe until it has succeeded, of the others from then on.
    pub(super) fn is_enabled(&self) -> bool {
        self.gate.has_started() != (self.spec.kind == ProbeKind::Startup)
    }

    pub(super) async fn wait_until_enabled(&self) {
        self.gate
            .wait_until(self.spec.kind != ProbeKind::Startup)
            .await;
    }

    /// Returns the end of the validity of the server's certificate as a Unix time, if a handshake has shown it.
    #[must_use]
    pub fn certificate_expiry(&self) -> Option<i64> {
        self.attempt().certificate_expiry()
    }

    pub(super) fn attempt(&self) -> Arc<Attempt> {
        let attempt = self.attempt.read().unwrap_or_else(PoisonError::into_inner);
        attempt.clone()
    }

    /// Replaces the attempt: files that it has read may have changed.
    pub(super) fn set_attempt(&self, attempt: Attempt) {
        let mut current = self.attempt.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(attempt);
    }
}
