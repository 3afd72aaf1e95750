//! Streams container output to attached clients.

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

/// Capacity of a subscriber's buffer, in read chunks.
const BUFFER_CHUNKS: usize = 16;

/// Backpressure limit: a subscriber that accepts no output for this long is dropped, so that a forgotten terminal cannot
/// block the container. Other container runtimes block without a limit.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Distributes one output stream to its subscribers. Clones share the subscribers.
#[derive(Clone)]
pub(super) struct OutputFanout(
    /// `None` when the stream is closed.
    Arc<Mutex<Option<Vec<Subscriber>>>>,
);

#[derive(Clone)]
struct Subscriber {
    chunks: mpsc::Sender<Bytes>,
    /// Cancelled when the subscriber has stalled.
    stalled: CancellationToken,
}

impl OutputFanout {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Vec::new()))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Subscriber>>> {
        self.0
            .lock()
            .expect("no code panics while it holds the subscribers")
    }

    /// Returns a reader of the output from now on, which ends with the stream or when `stalled` is cancelled.
    pub(super) fn subscribe(
        &self,
        stalled: &CancellationToken,
    ) -> impl AsyncRead + Send + Unpin + use<> {
        let (sender, chunks) = mpsc::channel(BUFFER_CHUNKS);
        if let Some(subscribers) = &mut *self.lock() {
            subscribers.push(Subscriber {
                chunks: sender,
                stalled: stalled.clone(),
            });
        }
        let until = Box::pin(stalled.clone().cancelled_owned());
        let chunks = ReceiverStream::new(chunks).take_until(until);
        StreamReader::new(chunks.map(Ok::<_, std::io::Error>))
    }

    /// Sends `output` to every subscriber, and waits until each has accepted it or stalled.
    pub(super) async fn send(&self, output: &[u8]) {
        let subscribers = self.lock().clone().unwrap_or_default();
        if subscribers.is_empty() {
            return;
        }
        let chunk = Bytes::copy_from_slice(output);
        let sent = subscribers
            .iter()
            .map(|subscriber| subscriber.send(chunk.clone()));
        if futures::future::join_all(sent).await.contains(&false)
            && let Some(subscribers) = &mut *self.lock()
        {
            subscribers.retain(|subscriber| {
                !subscriber.chunks.is_closed() && !subscriber.stalled.is_cancelled()
            });
        }
    }

    /// Ends the stream of every subscriber.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }
}

impl Subscriber {
    /// Returns `true` if the subscriber accepted the chunk.
    async fn send(&self, chunk: Bytes) -> bool {
        match timeout(STALL_TIMEOUT, self.chunks.send(chunk)).await {
            Ok(sent) => sent.is_ok(),
            Err(_) => {
                self.stalled.cancel();
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    async fn read_to_end(mut reader: impl AsyncRead + Unpin) -> String {
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn subscriber_receives_the_output_since_it_subscribed() {
        let fanout = OutputFanout::new();
        fanout.send(b"unseen, ").await;
        let stalled = CancellationToken::new();
        let first = fanout.subscribe(&stalled);
        fanout.send(b"one, ").await;
        let second = fanout.subscribe(&stalled);
        fanout.send(b"two").await;
        fanout.close();
        assert_eq!(read_to_end(first).await, "one, two");
        assert_eq!(read_to_end(second).await, "two");
    }

    #[tokio::test]
    async fn subscriber_of_a_closed_stream_receives_nothing() {
        let fanout = OutputFanout::new();
        fanout.close();
        fanout.send(b"unseen").await;
        let stalled = CancellationToken::new();
        assert_eq!(read_to_end(fanout.subscribe(&stalled)).await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn stalled_subscriber_is_dropped_after_one_timeout_and_others_receive_everything() {
        let fanout = OutputFanout::new();
        let stalled = CancellationToken::new();
        let _stuck = fanout.subscribe(&stalled);
        let received = tokio::spawn(read_to_end(fanout.subscribe(&CancellationToken::new())));
        let before = tokio::time::Instant::now();
        for _ in 0..100 {
            fanout.send(b"x").await;
        }
        assert_eq!(before.elapsed(), STALL_TIMEOUT);
        fanout.close();
        assert_eq!(received.await.unwrap().len(), 100);
        assert!(stalled.is_cancelled());
    }

    #[tokio::test]
    async fn client_that_stalled_on_one_stream_receives_no_more_of_another() {
        let fanout = OutputFanout::new();
        let stalled = CancellationToken::new();
        let other = fanout.subscribe(&stalled);
        stalled.cancel();
        assert_eq!(read_to_end(other).await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn detached_subscriber_does_not_delay_output() {
        let fanout = OutputFanout::new();
        drop(fanout.subscribe(&CancellationToken::new()));
        let before = tokio::time::Instant::now();
        for _ in 0..100 {
            fanout.send(b"x").await;
        }
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}
