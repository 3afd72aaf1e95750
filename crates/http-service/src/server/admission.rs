//! Pool of a limited number of connections. A new connection replaces the one that has waited longest for its client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::sync::lock;

/// Connections that wait for a request, in the order in which they started to wait.
#[derive(Default)]
struct Waiting {
    next: u64,
    tokens: BTreeMap<u64, CancellationToken>,
}

/// Capacity for connections.
pub(super) struct Pool {
    permits: Arc<Semaphore>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Pool {
    pub(super) fn new(size: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(size)),
            waiting: Arc::default(),
        }
    }

    /// Returns a free slot, or the slot of the connection that has waited longest for its client. Returns `None` if every
    /// connection has a request.
    pub(super) async fn admit(&self) -> Option<Slot> {
        let permits = self.permits.clone();
        let permit = match permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            // A closed connection releases its permit when its task runs next.
            Err(_) if self.close_oldest() => permits.acquire_owned().await.ok()?,
            Err(_) => return None,
        };
        Some(Slot {
            waiting: self.waiting.clone(),
            position: Mutex::default(),
            evicted: CancellationToken::new(),
            _permit: permit,
        })
    }

    /// Waits for a slot.
    pub(super) async fn wait_for_slot(&self) -> Option<Slot> {
        loop {
            if let Some(slot) = self.admit().await {
                return Some(slot);
            }
            // The next call of `admit` acquires the permit that is free now.
            drop(self.permits.acquire().await.ok()?);
        }
    }

    /// Closes the connection that has waited longest; returns `false` if no connection waits.
    pub(super) fn close_oldest(&self) -> bool {
        let mut waiting = lock(&self.waiting);
        let oldest = waiting.tokens.pop_first();
        // The lock makes this atomic: `stop_waiting` returns whether the connection was evicted before.
        oldest.is_some_and(|(_, token)| {
            token.cancel();
            true
        })
    }
}

/// Slot of one connection in a pool.
pub(super) struct Slot {
    waiting: Arc<Mutex<Waiting>>,
    /// Key in [`Waiting::tokens`] while the connection waits.
    position: Mutex<Option<u64>>,
    evicted: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// Lets the connection be closed for another one.
    pub(super) fn start_waiting(&self) {
        let mut position = lock(&self.position);
        let mut waiting = lock(&self.waiting);
        if position.is_none() && !self.evicted.is_cancelled() {
            let next = waiting.next;
            waiting.next += 1;
            waiting.tokens.insert(next, self.evicted.clone());
            *position = Some(next);
        }
    }

    /// Protects the connection from being closed for another one; returns `false` if it was closed already.
    pub(super) fn stop_waiting(&self) -> bool {
        if let Some(position) = lock(&self.position).take() {
            lock(&self.waiting).tokens.remove(&position);
        }
        !self.evicted.is_cancelled()
    }

    /// Resolves when the connection has to be closed for another one.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.stop_waiting();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn full_pool_evicts_the_connection_that_waited_longest_and_none_that_serves() {
        let pool = Pool::new(2);
        let (first, second) = (pool.admit().await.unwrap(), pool.admit().await.unwrap());
        first.start_waiting();
        second.start_waiting();
        assert!(first.stop_waiting());
        first.start_waiting();
        let (third, ()) = tokio::join!(pool.admit(), async {
            second.evicted().await;
            assert!(!second.stop_waiting());
            drop(second);
        });
        assert!(first.stop_waiting(), "the first waited less long");
        let third = third.unwrap();
        assert!(pool.admit().await.is_none(), "both serve a request");
        drop(third);
        assert!(pool.admit().await.is_some());
    }
}
