//! Activity of one connection: its current deadline, and whether the connection can be closed for another one.

use std::sync::Mutex;

use tokio::time::Instant;

use super::admission::Slot;
use crate::Limits;
use crate::sync::lock;

#[derive(Clone, Copy)]
enum Phase {
    /// A request's line and headers are incomplete since this time.
    Header(Instant),
    /// Nothing of a request has been received since this time.
    Idle(Instant),
    /// A request is being handled.
    Serving,
}

struct State {
    phase: Phase,
    /// `true` while the client does not accept more of a response.
    is_write_blocked: bool,
}

pub(super) struct Activity {
    slot: Slot,
    limits: Limits,
    state: Mutex<State>,
}

impl Activity {
    /// Returns the activity of a connection that has just been accepted.
    pub(super) fn new(slot: Slot, limits: Limits) -> Self {
        slot.start_waiting();
        Self {
            slot,
            limits,
            state: Mutex::new(State {
                phase: Phase::Header(Instant::now()),
                is_write_blocked: false,
            }),
        }
    }

    /// Records a complete request; returns `false` if the connection was closed for another one.
    pub(super) fn start_serving(&self) -> bool {
        lock(&self.state).phase = Phase::Serving;
        self.slot.stop_waiting()
    }

    pub(super) fn finish_serving(&self) {
        lock(&self.state).phase = Phase::Idle(Instant::now());
        self.slot.start_waiting();
    }

    pub(super) fn record_read(&self) {
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Idle(_)) {
            state.phase = Phase::Header(Instant::now());
        }
    }

    pub(super) fn record_write(&self, is_blocked: bool) {
        lock(&self.state).is_write_blocked = is_blocked;
    }

    /// Time at which the connection is closed if its client sends nothing.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = lock(&self.state);
        match state.phase {
            Phase::Header(since) => Some(since + self.limits.header_timeout),
            Phase::Idle(since) if !state.is_write_blocked => Some(since + self.limits.idle_timeout),
            // The rest of a response is being written, which has a timeout of its own.
            Phase::Idle(_) | Phase::Serving => None,
        }
    }

    /// Resolves when the connection has to be closed for another one.
    pub(super) async fn evicted(&self) {
        self.slot.evicted().await;
    }
}
