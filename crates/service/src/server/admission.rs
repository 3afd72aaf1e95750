//! A bounded number of connections, of which the one that waited longest for its client makes way for a new one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Connections that wait for a request, by the order in which their wait began.
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

    /// Returns a slot: a free one, or that of the connection which waited longest for its client. Returns `None` if every
    /// connection has a request to answer.
    pub(super) async fn admit(&self) -> Option<Slot> {
        let permits = self.permits.clone();
        let permit = match permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            // A closed connection gives its permit back as soon as its task runs.
            Err(_) if self.close_oldest() => permits.acquire_owned().await.ok()?,
            Err(_) => return None,
        };
        Some(Slot {
            waiting: self.waiting.clone(),
            turn: Mutex::default(),
            closed: CancellationToken::new(),
            _permit: permit,
        })
    }

    /// Waits for a slot.
    pub(super) async fn wait(&self) -> Option<Slot> {
        loop {
            if let Some(slot) = self.admit().await {
                return Some(slot);
            }
            // A permit that is free here is taken by the next call.
            drop(self.permits.acquire().await.ok()?);
        }
    }

    /// Closes the connection that waited longest; returns `false` if none waits.
    pub(super) fn close_oldest(&self) -> bool {
        let mut waiting = lock(&self.waiting);
        let oldest = waiting.tokens.pop_first();
        // Under the lock: a connection that stops waiting is either closed or not, and knows which.
        oldest.is_some_and(|(_, token)| {
            token.cancel();
            true
        })
    }
}

/// A connection's part of a pool.
pub(super) struct Slot {
    waiting: Arc<Mutex<Waiting>>,
    /// Position among the waiting connections.
    turn: Mutex<Option<u64>>,
    closed: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// Makes the connection one that may be closed for another.
    pub(super) fn start_waiting(&self) {
        let mut turn = lock(&self.turn);
        let mut waiting = lock(&self.waiting);
        if turn.is_none() && !self.closed.is_cancelled() {
            let next = waiting.next;
            waiting.next += 1;
            waiting.tokens.insert(next, self.closed.clone());
            *turn = Some(next);
        }
    }

    /// Ends the wait; returns `false` if the connection was closed already.
    pub(super) fn stop_waiting(&self) -> bool {
        if let Some(turn) = lock(&self.turn).take() {
            lock(&self.waiting).tokens.remove(&turn);
        }
        !self.closed.is_cancelled()
    }

    /// Resolves once the connection has to make way for another one.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.stop_waiting();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn oldest_waiting_connection_makes_way_and_a_busy_one_does_not() {
        let pool = Pool::new(2);
        let (first, second) = (pool.admit().await.unwrap(), pool.admit().await.unwrap());
        first.start_waiting();
        second.start_waiting();
        assert!(first.stop_waiting());
        first.start_waiting();
        let (third, ()) = tokio::join!(pool.admit(), async {
            second.closed().await;
            assert!(!second.stop_waiting());
            drop(second);
        });
        assert!(first.stop_waiting(), "it waited less long");
        let third = third.unwrap();
        assert!(pool.admit().await.is_none(), "both are busy");
        drop(third);
        assert!(pool.admit().await.is_some());
    }
}
