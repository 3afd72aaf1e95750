//! Name resolution with at most one lookup in flight per name.
//!
//! `getaddrinfo` blocks and cannot be cancelled. Without this limit, a caller that retries a hanging name every second
//! would leak one thread per second; here callers queue, each up to its own timeout.
//!
//! The crate `probe` limits its lookups as well, by their total number. This crate is meant to be used on its own, so
//! the two do not share code.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

/// A semaphore of one permit for each name that is being looked up.
static IN_FLIGHT: Mutex<BTreeMap<String, Weak<Semaphore>>> = Mutex::new(BTreeMap::new());

/// Resolves `name` with the system's resolver; a numeric address needs no lookup.
pub(super) async fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let owned_name = name.to_owned();
    single_flight(name, move || {
        let found = (owned_name.as_str(), port).to_socket_addrs();
        found.map(Iterator::collect)
    })
    .await
}

/// Runs `resolve` on the blocking pool once no other lookup of `name` is in flight.
///
/// The permit is held until `resolve` returns, even if the caller has been cancelled.
async fn single_flight<T: Send + 'static>(
    name: &str,
    resolve: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let permit = lookup_lock(name).acquire_owned().await;
    let permit = permit.map_err(io::Error::other)?; // The semaphore is never closed.
    let resolving = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        resolve()
    });
    resolving.await.map_err(io::Error::other)?
}

/// Returns the semaphore of `name` and removes those that are not in use.
fn lookup_lock(name: &str) -> Arc<Semaphore> {
    let mut in_flight = IN_FLIGHT.lock().unwrap_or_else(PoisonError::into_inner);
    in_flight.retain(|_, lock| lock.strong_count() > 0);
    if let Some(lock) = in_flight.get(name).and_then(Weak::upgrade) {
        return lock;
    }
    let lock = Arc::new(Semaphore::new(1));
    in_flight.insert(name.to_owned(), Arc::downgrade(&lock));
    lock
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{self, error::TryRecvError};

    use super::*;

    #[tokio::test]
    async fn lookup_of_a_hanging_name_is_in_flight_once() {
        let (calls, mut called) = mpsc::unbounded_channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let first = calls.clone();
        let hanging = tokio::spawn(single_flight("hangs.test", move || {
            first.send("first").unwrap();
            let _ = released.recv();
            Ok(())
        }));
        assert_eq!(called.recv().await, Some("first"));
        hanging.abort();
        assert!(hanging.await.unwrap_err().is_cancelled());

        let second = calls.clone();
        let queued = tokio::spawn(single_flight("hangs.test", move || {
            second.send("second").unwrap();
            Ok(2)
        }));
        // Another name is not blocked meanwhile.
        let other = single_flight("other.test", move || {
            calls.send("other").unwrap();
            Ok(3)
        });
        assert_eq!(other.await.unwrap(), 3);
        assert_eq!(called.try_recv(), Ok("other"));
        assert_eq!(called.try_recv(), Err(TryRecvError::Empty));
        release.send(()).unwrap();
        assert_eq!(queued.await.unwrap().unwrap(), 2);
        assert_eq!(called.try_recv(), Ok("second"));
    }

    #[test]
    fn lock_that_is_not_in_use_is_removed() {
        drop(lookup_lock("unused.test"));
        drop(lookup_lock("next.test"));
        assert!(!IN_FLIGHT.lock().unwrap().contains_key("unused.test"));
    }

    #[tokio::test]
    async fn numeric_address_is_returned_without_a_lookup() {
        for (name, expected) in [("127.0.0.1", "127.0.0.1:5432"), ("::1", "[::1]:5432")] {
            let found = look_up(name, 5432).await.unwrap();
            assert_eq!(found, [expected.parse().unwrap()]);
        }
    }
}
