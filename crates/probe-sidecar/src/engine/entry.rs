//! One probe that runs: what it is to do, and what is known by it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use probe::ProbeKind;
use tokio::sync::watch;

use super::state::{State, Status};
use crate::attempt::Attempt;
use crate::spec::{ProbeSpec, endpoint};

/// Whether a target has started: its other probes wait for that.
#[derive(Debug)]
pub(super) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(super) fn new(open: bool) -> Self {
        Self(watch::Sender::new(open))
    }

    pub(super) fn set(&self, open: bool) {
        self.0
            .send_if_modified(|is| std::mem::replace(is, open) != open);
    }

    pub(super) fn is_open(&self) -> bool {
        *self.0.borrow()
    }

    async fn becomes(&self, open: bool) {
        // The sender lives in `self`, so the wait can only end with the gate.
        let _ = self.0.subscribe().wait_for(|is| *is == open).await;
    }
}

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

    /// What is known `now`, in a word.
    pub fn status(&self, now: Duration) -> Status {
        self.state().status(&self.spec, now)
    }

    /// Whether a status counts as healthy for this probe.
    #[must_use]
    pub fn is_healthy(&self, status: Status) -> bool {
        let when = self.spec.healthy_when;
        match status {
            Status::Healthy => true,
            Status::Unhealthy => false,
            Status::NeverRun => when.never_run,
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
            .becomes(self.spec.kind != ProbeKind::Startup)
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
