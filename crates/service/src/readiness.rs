//! Whether the service wants traffic: closed until opened once, and closed for good when it ends.

use std::sync::Arc;

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Ready,
    Ending,
}

/// A latch shared by the readiness endpoint and the server. Clones are the same latch.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<State>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::Starting)))
    }
}

impl Readiness {
    /// Opens the latch. Has no effect once the service is ending: an end is never taken back.
    pub fn open(&self) {
        self.0.send_if_modified(|state| {
            let starting = *state == State::Starting;
            if starting {
                *state = State::Ready;
            }
            starting
        });
    }

    /// Closes the latch for good.
    pub fn close(&self) {
        self.0.send_replace(State::Ending);
    }

    /// Whether traffic is wanted now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.0.borrow() == State::Ready
    }

    /// Resolves once the latch is closed for good.
    pub async fn closed(&self) {
        let mut states = self.0.subscribe();
        // The sender lives in `self`, so the wait can only end with the state.
        let _ = states.wait_for(|state| *state == State::Ending).await;
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn a_service_is_unready_until_it_says_otherwise() {
        let ready = Readiness::default();
        assert!(!ready.is_open());
        ready.open();
        assert!(ready.is_open());
    }

    #[test]
    fn an_ending_service_never_becomes_ready_again() {
        let ready = Readiness::default();
        ready.open();
        ready.close();
        ready.open();
        assert!(!ready.is_open());
    }

    #[tokio::test]
    async fn clones_are_the_same_latch() {
        let ready = Readiness::default();
        ready.clone().close();
        ready.closed().await;
        assert!(!ready.is_open());
    }
}
