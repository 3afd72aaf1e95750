//! How a service is told to end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The two words a service listens to, and the time it may take between them.
#[derive(Clone, Debug)]
pub struct Stop {
    /// "End": turn unready, take no new connections, finish the requests in hand.
    pub drain: CancellationToken,
    /// "Now": drop whatever is still open.
    pub abort: CancellationToken,
    /// How long the service goes on accepting after it has turned unready.
    pub delay: Duration,
    /// How long requests in hand may take once no more are accepted.
    pub grace: Duration,
}

impl Stop {
    /// Both tokens fresh, with the given times.
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

/// How a service came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every request in hand was answered.
    Drained,
    /// The grace ran out first.
    DeadlinePassed {
        /// Connections dropped.
        open: usize,
    },
    /// [`Stop::abort`] came first.
    Aborted {
        /// Connections dropped.
        open: usize,
    },
}
