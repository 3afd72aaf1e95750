//! Activity of one connection: which deadline holds, and whether the connection may be closed for another one.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::admission::Slot;
use crate::Limits;

#[derive(Clone, Copy)]
enum State {
    /// A request's line or headers are not complete since then.
    Header(Instant),
    /// Nothing of a request has arrived since then.
    Idle(Instant),
    /// A request is being answered.
    Serving,
}

pub(super) struct Activity {
    slot: Slot,
    limits: Limits,
    /// The state, and `true` if the client does not accept what is written.
    state: Mutex<(State, bool)>,
}

impl Activity {
    /// Activity of a connection that has just been accepted.
    pub(super) fn new(slot: Slot, limits: Limits) -> Self {
        slot.start_waiting();
        Self {
            slot,
            limits,
            state: Mutex::new((State::Header(Instant::now()), false)),
        }
    }

    /// Records a complete request; returns `false` if the connection is closed for another one.
    pub(super) fn start_serving(&self) -> bool {
        self.update(|state| state.0 = State::Serving);
        self.slot.stop_waiting()
    }

    pub(super) fn finish_serving(&self) {
        self.update(|state| state.0 = State::Idle(Instant::now()));
        self.slot.start_waiting();
    }

    pub(super) fn record_read(&self) {
        self.update(|state| {
            if matches!(state.0, State::Idle(_)) {
                state.0 = State::Header(Instant::now());
            }
        });
    }

    pub(super) fn record_write(&self, is_blocked: bool) {
        self.update(|state| state.1 = is_blocked);
    }

    /// Time at which the connection is closed unless something happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.update(|state| match *state {
            (State::Header(since), _) => Some(since + self.limits.header_timeout),
            (State::Idle(since), false) => Some(since + self.limits.idle_timeout),
            // The end of an answer is still being written, for which writing has its own limit.
            (State::Idle(_), true) | (State::Serving, _) => None,
        })
    }

    /// Resolves once the connection has to make way for another one.
    pub(super) async fn closed(&self) {
        self.slot.closed().await;
    }

    fn update<T>(&self, change: impl FnOnce(&mut (State, bool)) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
