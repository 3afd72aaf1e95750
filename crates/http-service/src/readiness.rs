//! Readiness latch: closed at the start, opened once, closed permanently by the shutdown.

use std::sync::Arc;

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Ready,
    Stopping,
}

/// Latch that the readiness endpoint and the server share. Clones refer to the same latch.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<State>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::Starting)))
    }
}

impl Readiness {
    /// Opens the latch. Has no effect after [`Self::close`].
    pub fn open(&self) {
        self.0.send_if_modified(|state| {
            let is_starting = *state == State::Starting;
            if is_starting {
                *state = State::Ready;
            }
            is_starting
        });
    }

    /// Closes the latch permanently.
    pub fn close(&self) {
        self.0.send_replace(State::Stopping);
    }

    /// Returns `true` while the service is ready for traffic.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.0.borrow() == State::Ready
    }

    /// Resolves when the latch is closed permanently.
    pub async fn closed(&self) {
        let mut states = self.0.subscribe();
        // The channel stays open: `self` owns the sender.
        let _ = states.wait_for(|state| *state == State::Stopping).await;
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn new_latch_is_closed_until_it_is_opened() {
        let ready = Readiness::default();
        assert!(!ready.is_open());
        ready.open();
        assert!(ready.is_open());
    }

    #[test]
    fn closed_latch_cannot_be_opened_again() {
        let ready = Readiness::default();
        ready.open();
        ready.close();
        ready.open();
        assert!(!ready.is_open());
    }

    #[tokio::test]
    async fn clones_share_the_latch() {
        let ready = Readiness::default();
        ready.clone().close();
        ready.closed().await;
        assert!(!ready.is_open());
    }
}
