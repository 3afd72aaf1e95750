//! Request to shut a service down, and its outcome.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Tokens that shut a service down, and the time limits of the steps.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// Starts a graceful shutdown: the service becomes unready, closes its listener and completes open requests.
    pub drain: CancellationToken,
    /// Closes all connections immediately.
    pub abort: CancellationToken,
    /// Time for which the service accepts connections after it has become unready.
    pub delay: Duration,
    /// Maximum time for open requests after the listener is closed.
    pub grace: Duration,
}

impl Shutdown {
    /// Returns new tokens with these time limits.
    #[must_use]
    pub fn new(delay: Duration, grace: Duration) -> Self {
        Self {
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
            delay,
            grace,
        }
    }
}

/// Result of a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownOutcome {
    /// Every open request was answered.
    Drained,
    /// [`Shutdown::grace`] expired first.
    DeadlinePassed {
        /// Number of connections that were closed.
        open: usize,
    },
    /// [`Shutdown::abort`] was cancelled first.
    Aborted {
        /// Number of connections that were closed.
        open: usize,
    },
}
