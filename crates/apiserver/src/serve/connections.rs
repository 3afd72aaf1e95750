//! Limit of open connections, at which the connection that has been idle longest is closed for a new one.
//!
//! A connection is idle while no request on it is in flight: before its TLS handshake is complete, before its first
//! request, and between requests. A watch, a followed log, and an upgraded connection are in flight until they end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Open connections of one server. Clones share them.
#[derive(Clone)]
pub(super) struct Connections {
    shared: Arc<Shared>,
}

struct Shared {
    permits: Arc<Semaphore>,
    /// Connections that can be closed while they are idle, in the order in which they were opened.
    open: Mutex<BTreeMap<u64, Arc<Activity>>>,
    /// Notified when a connection becomes idle.
    became_idle: Notify,
    next_id: AtomicU64,
}

/// Activity on one connection.
pub(super) struct Activity {
    id: u64,
    state: watch::Sender<State>,
    /// Closes the connection.
    pub(super) close: CancellationToken,
    connections: Connections,
}

#[derive(Clone, Copy, Debug)]
struct State {
    requests_in_flight: usize,
    /// Number of requests so far.
    requests: u64,
    idle_since: Instant,
    is_upgraded: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.requests_in_flight == 0 && !self.is_upgraded
    }
}

/// A request that is in flight until this is dropped.
pub(super) struct InFlight(Arc<Activity>);

impl Connections {
    pub(super) fn new(max_connections: usize) -> Self {
        let shared = Shared {
            permits: Arc::new(Semaphore::new(max_connections)),
            open: Mutex::default(),
            became_idle: Notify::new(),
            next_id: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Waits until a connection may be opened. At the limit, the connection that has been idle longest is closed; while
    /// all have requests in flight, the new one waits.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        loop {
            let became_idle = self.shared.became_idle.notified();
            if let Ok(permit) = self.shared.permits.clone().try_acquire_owned() {
                return permit;
            }
            // The slot of a closed connection becomes free soon, so no other has to be closed.
            let is_closing = self.close_oldest_idle();
            tokio::select! {
                permit = self.shared.permits.clone().acquire_owned() => {
                    return permit.expect("the semaphore is never closed");
                }
                () = became_idle, if !is_closing => {}
            }
        }
    }

    /// Returns `false` if no connection is idle.
    fn close_oldest_idle(&self) -> bool {
        let mut open = self.open();
        let idle = open.values().filter_map(|activity| {
            let state = *activity.state.borrow();
            state.is_idle().then_some((state.idle_since, activity.id))
        });
        let oldest = idle.min().and_then(|(_, id)| open.remove(&id));
        if let Some(activity) = &oldest {
            tracing::debug!("closing the oldest idle connection: the limit is reached");
            activity.close.cancel();
        }
        oldest.is_some()
    }

    /// Registers a new connection, which is idle.
    pub(super) fn open_connection(&self) -> Arc<Activity> {
        let mut open = self.open();
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let state = State {
            requests_in_flight: 0,
            requests: 0,
            idle_since: Instant::now(),
            is_upgraded: false,
        };
        let activity = Arc::new(Activity {
            id,
            state: watch::Sender::new(state),
            close: CancellationToken::new(),
            connections: self.clone(),
        });
        open.insert(id, activity.clone());
        activity
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Activity>>> {
        let open = self.shared.open.lock();
        open.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Activity {
    /// Records the start of a request.
    pub(super) fn start_request(self: &Arc<Self>) -> InFlight {
        self.state.send_modify(|state| {
            state.requests += 1;
            state.requests_in_flight += 1;
        });
        InFlight(self.clone())
    }

    /// Records an upgrade, after which the connection is never idle.
    pub(super) fn mark_upgraded(&self) {
        self.state.send_modify(|state| state.is_upgraded = true);
    }

    /// Unregisters a connection that was closed or upgraded.
    pub(super) fn unregister(&self) {
        self.connections.open().remove(&self.id);
    }

    /// Returns once the connection has been idle for `first` without any request, or for `later` since its last one.
    pub(super) async fn idle_for(&self, first: Duration, later: Duration) {
        let mut changes = self.state.subscribe();
        loop {
            let state = *changes.borrow_and_update();
            let limit = if state.requests == 0 { first } else { later };
            tokio::select! {
                () = sleep_until(state.idle_since + limit), if state.is_idle() => return,
                // The sender is in `self`, so this cannot fail.
                _ = changes.changed() => {}
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut is_idle = false;
        self.0.state.send_modify(|state| {
            state.requests_in_flight -= 1;
            is_idle = state.is_idle();
            state.idle_since = Instant::now();
        });
        if is_idle {
            self.0.connections.shared.became_idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn is_closed(activity: &Activity) -> bool {
        activity.close.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_limit_the_longest_idle_connection_is_closed() {
        let connections = Connections::new(2);
        let mut permits = vec![connections.permit().await];
        let first = connections.open_connection();
        tokio::time::advance(SECOND).await;
        permits.push(connections.permit().await);
        let second = connections.open_connection();
        tokio::time::advance(SECOND).await;
        // The older connection has been idle for less time than the younger one.
        drop(first.start_request());
        let mut third = std::pin::pin!(connections.permit());
        assert!(poll!(third.as_mut()).is_pending());
        assert_eq!((is_closed(&first), is_closed(&second)), (false, true));
        permits.pop();
        drop(third.await);
    }

    #[tokio::test(start_paused = true)]
    async fn new_connection_waits_while_all_others_have_requests_in_flight() {
        let connections = Connections::new(2);
        let permits = [connections.permit().await, connections.permit().await];
        let (busy, upgraded) = (connections.open_connection(), connections.open_connection());
        let requests = [busy.start_request(), busy.start_request()];
        let upgrade = upgraded.start_request();
        upgraded.mark_upgraded();
        drop(upgrade);
        let mut third = std::pin::pin!(connections.permit());
        assert!(poll!(third.as_mut()).is_pending());
        let [one, other] = requests;
        drop(one);
        assert!(poll!(third.as_mut()).is_pending());
        assert!(!is_closed(&busy) && !is_closed(&upgraded));
        drop(other);
        assert!(poll!(third.as_mut()).is_pending());
        assert!(is_closed(&busy) && !is_closed(&upgraded));
        drop(permits);
        drop(third.await);
    }

    #[tokio::test(start_paused = true)]
    async fn connection_without_a_request_has_a_shorter_timeout() {
        let connections = Connections::new(1);
        let activity = connections.open_connection();
        let idle_for = || activity.idle_for(10 * SECOND, 90 * SECOND);
        let start = Instant::now();
        idle_for().await;
        assert_eq!(start.elapsed(), 10 * SECOND);
        let request = activity.start_request();
        let mut idle = std::pin::pin!(idle_for());
        assert!(poll!(idle.as_mut()).is_pending());
        tokio::time::advance(1000 * SECOND).await;
        assert!(poll!(idle.as_mut()).is_pending());
        drop(request);
        let start = Instant::now();
        idle.await;
        assert_eq!(start.elapsed(), 90 * SECOND);
    }
}
