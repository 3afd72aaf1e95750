//! Whoever sees what a container prints while it prints it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

/// So much that was printed waits for one who sees it, in reads.
const WAITING: usize = 16;

/// A container waits for whoever is attached to it, as under every container runtime, but not for one that takes nothing for
/// so long: nobody who forgot a terminal is to hold an application up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Those who see one stream. Clones share it.
#[derive(Clone)]
pub(super) struct Taps(Arc<Mutex<Option<Vec<Tap>>>>);

#[derive(Clone)]
struct Tap {
    to: mpsc::Sender<Bytes>,
    /// Once it was waited for in vain.
    late: CancellationToken,
}

impl Taps {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Vec::new()))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Tap>>> {
        self.0.lock().expect("nothing panics while it holds taps")
    }

    /// What will be printed from now on, to the stream's end, or until whoever reads it is `late`.
    pub(super) fn add(&self, late: &CancellationToken) -> impl AsyncRead + Send + Unpin + use<> {
        let (to, bytes) = mpsc::channel(WAITING);
        if let Some(taps) = &mut *self.lock() {
            let late = late.clone();
            taps.push(Tap { to, late });
        }
        let until = Box::pin(late.clone().cancelled_owned());
        let bytes = ReceiverStream::new(bytes).take_until(until);
        StreamReader::new(bytes.map(Ok::<_, std::io::Error>))
    }

    pub(super) async fn show(&self, printed: &[u8]) {
        let taps = self.lock().clone().unwrap_or_default();
        if taps.is_empty() {
            return;
        }
        let bytes = Bytes::copy_from_slice(printed);
        let shown = taps.iter().map(|tap| tap.show(bytes.clone()));
        if futures::future::join_all(shown).await.contains(&false)
            && let Some(taps) = &mut *self.lock()
        {
            taps.retain(|tap| !tap.to.is_closed() && !tap.late.is_cancelled());
        }
    }

    /// There is no more to see.
    pub(super) fn end(&self) {
        *self.lock() = None;
    }
}

impl Tap {
    /// Whether it was taken.
    async fn show(&self, bytes: Bytes) -> bool {
        match timeout(PATIENCE, self.to.send(bytes)).await {
            Ok(sent) => sent.is_ok(),
            Err(_) => {
                self.late.cancel();
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    async fn all(mut reader: impl AsyncRead + Unpin) -> String {
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn each_sees_what_is_printed_from_when_it_came() {
        let taps = Taps::new();
        taps.show(b"unseen, ").await;
        let late = CancellationToken::new();
        let first = taps.add(&late);
        taps.show(b"one, ").await;
        let second = taps.add(&late);
        taps.show(b"two").await;
        taps.end();
        assert_eq!(all(first).await, "one, two");
        assert_eq!(all(second).await, "two");
    }

    #[tokio::test]
    async fn after_the_end_there_is_nothing_to_see() {
        let taps = Taps::new();
        taps.end();
        taps.show(b"unseen").await;
        let late = CancellationToken::new();
        assert_eq!(all(taps.add(&late)).await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_takes_nothing_is_waited_for_once_and_no_other_misses_anything() {
        let taps = Taps::new();
        let late = CancellationToken::new();
        let _stuck = taps.add(&late);
        let seen = tokio::spawn(all(taps.add(&CancellationToken::new())));
        let before = tokio::time::Instant::now();
        for _ in 0..100 {
            taps.show(b"x").await;
        }
        assert_eq!(before.elapsed(), PATIENCE);
        taps.end();
        assert_eq!(seen.await.unwrap().len(), 100);
        assert!(late.is_cancelled());
    }

    #[tokio::test]
    async fn one_that_is_late_with_one_stream_sees_no_more_of_another() {
        let taps = Taps::new();
        let late = CancellationToken::new();
        let other = taps.add(&late);
        late.cancel();
        assert_eq!(all(other).await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_gone_is_not_waited_for() {
        let taps = Taps::new();
        drop(taps.add(&CancellationToken::new()));
        let before = tokio::time::Instant::now();
        for _ in 0..100 {
            taps.show(b"x").await;
        }
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}
