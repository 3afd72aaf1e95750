//! Where a name is: one look-up of a name at a time, however many ask.
//!
//! The system's resolver blocks, and goes on blocking for whoever has given up. Whoever asks every second for a name that
//! hangs would have a thread more each second; here they wait in line, each for as long as it has time.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

/// The line before each name that is being looked up.
static LINES: Mutex<BTreeMap<String, Weak<Semaphore>>> = Mutex::new(BTreeMap::new());

/// The addresses of `name`.
pub(super) async fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let asked = name.to_owned();
    in_turn(name, move || {
        let found = (asked.as_str(), port).to_socket_addrs();
        found.map(Iterator::collect)
    })
    .await
}

/// Runs `resolve` once nobody else's does for this name. Its turn ends with it, not with whoever waits for it.
async fn in_turn<T: Send + 'static>(
    name: &str,
    resolve: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let turn = line(name).acquire_owned().await;
    let turn = turn.map_err(io::Error::other)?; // A line is never closed.
    let resolving = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        resolve()
    });
    resolving.await.map_err(io::Error::other)?
}

fn line(name: &str) -> Arc<Semaphore> {
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.retain(|_, line| line.strong_count() > 0);
    if let Some(line) = lines.get(name).and_then(Weak::upgrade) {
        return line;
    }
    let line = Arc::new(Semaphore::new(1));
    lines.insert(name.to_owned(), Arc::downgrade(&line));
    line
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::sync::mpsc::error::TryRecvError;

    use super::*;

    #[tokio::test]
    async fn a_name_that_hangs_has_one_look_up_however_often_it_is_asked_for() {
        let (calls, mut called) = mpsc::unbounded_channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let first = calls.clone();
        let hangs = tokio::spawn(in_turn("hangs.test", move || {
            first.send("first").unwrap();
            let _ = released.recv();
            Ok(())
        }));
        assert_eq!(called.recv().await, Some("first"));
        hangs.abort();
        assert!(hangs.await.unwrap_err().is_cancelled());

        let second = calls.clone();
        let waits = tokio::spawn(in_turn("hangs.test", move || {
            second.send("second").unwrap();
            Ok(2)
        }));
        // Another name has its turn meanwhile.
        let other = in_turn("other.test", move || {
            calls.send("other").unwrap();
            Ok(3)
        });
        assert_eq!(other.await.unwrap(), 3);
        assert_eq!(called.try_recv(), Ok("other"));
        assert_eq!(called.try_recv(), Err(TryRecvError::Empty));
        release.send(()).unwrap();
        assert_eq!(waits.await.unwrap().unwrap(), 2);
        assert_eq!(called.try_recv(), Ok("second"));
        drop(line("last.test"));
        assert!(!LINES.lock().unwrap().contains_key("hangs.test"));
    }

    #[tokio::test]
    async fn an_address_needs_no_look_up() {
        for (name, expected) in [("127.0.0.1", "127.0.0.1:5432"), ("::1", "[::1]:5432")] {
            let found = look_up(name, 5432).await.unwrap();
            assert_eq!(found, [expected.parse().unwrap()]);
        }
    }
}
