//! A container's log, in memory and bounded: when it is full, the oldest lines are dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt as _};
use probe::Clock;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;

use super::attach_output::OutputFanout;
use crate::LogLine;

/// Maximum size of a log in bytes (the kubelet's `containerLogMaxSize`).
const MAX_LOG_BYTES: usize = 10 << 20;

/// Maximum length of a line in bytes; longer lines are split (containerd's `max_container_log_line_size`).
const MAX_LINE_BYTES: usize = 16 << 10;

/// Size of a read in bytes.
const CHUNK_BYTES: usize = 8 << 10;

/// Reads a log. Clones share it.
#[derive(Clone)]
pub(super) struct Log {
    lines: Arc<Mutex<Lines>>,
    /// Number of lines written so far. Closed when the log is complete.
    line_count: watch::Receiver<u64>,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<LogLine>,
    bytes: usize,
    /// Number of the first line that is kept.
    first: u64,
}

/// Writes a log. Dropping the last clone completes it.
#[derive(Clone)]
pub(super) struct LogWriter {
    lines: Arc<Mutex<Lines>>,
    line_count: Arc<watch::Sender<u64>>,
    clock: Clock,
}

pub(super) fn new(clock: Clock) -> (LogWriter, Log) {
    let lines = Arc::<Mutex<Lines>>::default();
    let (sender, line_count) = watch::channel(0);
    let writer = LogWriter {
        lines: lines.clone(),
        line_count: Arc::new(sender),
        clock,
    };
    (writer, Log { lines, line_count })
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().expect("no code panics while it holds a log")
}

/// Takes the first line, if it is complete or has the maximum length. The line is copied, so that the log does not keep the
/// read buffer alive.
fn take_line(pending: &mut BytesMut) -> Option<Bytes> {
    let end = pending
        .iter()
        .take(MAX_LINE_BYTES)
        .position(|byte| *byte == b'\n');
    let is_full = pending.len() >= MAX_LINE_BYTES;
    let length = end
        .map(|index| index + 1)
        .or(is_full.then_some(MAX_LINE_BYTES))?;
    let line = Bytes::copy_from_slice(&pending[..length]);
    pending.advance(length);
    Some(line)
}

impl LogWriter {
    /// Copies a stream to the log and to attached clients, until it ends.
    pub(super) async fn copy(self, mut stream: impl AsyncRead + Unpin, fanout: OutputFanout) {
        let mut pending = BytesMut::new();
        loop {
            let before = pending.len();
            pending.reserve(CHUNK_BYTES);
            let Ok(1..) = stream.read_buf(&mut pending).await else {
                break;
            };
            fanout.send(&pending[before..]).await;
            while let Some(line) = take_line(&mut pending) {
                self.append(line);
            }
        }
        if !pending.is_empty() {
            self.append(pending.freeze());
        }
        fanout.close();
    }

    fn append(&self, text: Bytes) {
        let line = LogLine {
            at: self.clock.now(),
            text,
        };
        let mut lines = lock(&self.lines);
        lines.bytes += line.text.len();
        lines.kept.push_back(line);
        while lines.bytes > MAX_LOG_BYTES
            && let Some(oldest) = lines.kept.pop_front()
        {
            lines.bytes -= oldest.text.len();
            lines.first += 1;
        }
        let count = lines.first + lines.kept.len() as u64;
        drop(lines);
        self.line_count.send_replace(count);
    }
}

impl Log {
    /// Streams the lines from the first that is kept; with `follow`, until the log is complete.
    pub(super) fn read(&self, follow: bool) -> BoxStream<'static, LogLine> {
        let log = self.clone();
        stream::unfold((log, 0), move |(mut log, next)| async move {
            loop {
                if let Some((line, after)) = log.line_from(next) {
                    return Some((line, (log, after)));
                }
                if !follow || log.line_count.changed().await.is_err() {
                    // The writer may have been dropped right after its last line.
                    let (line, after) = log.line_from(next)?;
                    return Some((line, (log, after)));
                }
            }
        })
        .boxed()
    }

    /// Returns all lines that are kept.
    pub(super) fn lines(&self) -> Vec<LogLine> {
        lock(&self.lines).kept.iter().cloned().collect()
    }

    /// Returns line `number`, or the first after it that is kept, and the number of the next line.
    fn line_from(&self, number: u64) -> Option<(LogLine, u64)> {
        let lines = lock(&self.lines);
        let number = number.max(lines.first);
        let index = usize::try_from(number - lines.first).ok()?;
        Some((lines.kept.get(index)?.clone(), number + 1))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn clock() -> Clock {
        Clock::new("2026-01-02T03:04:05Z".parse().unwrap(), 1.0)
    }

    async fn texts(stream: BoxStream<'static, LogLine>) -> Vec<String> {
        stream
            .map(|line| String::from_utf8(line.text.to_vec()).unwrap())
            .collect()
            .await
    }

    #[tokio::test]
    async fn follower_reads_old_and_new_lines_until_the_log_is_complete() {
        let (writer, log) = new(clock());
        writer.append("one\n".into());
        let following = tokio::spawn(texts(log.read(true)));
        tokio::task::yield_now().await;
        writer.copy(&b"two\nthree"[..], OutputFanout::new()).await;
        assert_eq!(following.await.unwrap(), ["one\n", "two\n", "three"]);
        assert_eq!(texts(log.read(false)).await.len(), 3);
    }

    #[tokio::test]
    async fn line_above_the_maximum_length_is_split() {
        let (writer, log) = new(clock());
        let text = "x".repeat(MAX_LINE_BYTES) + "\n" + &"y".repeat(MAX_LINE_BYTES - 1) + "\nz";
        writer.copy(text.as_bytes(), OutputFanout::new()).await;
        let lengths = texts(log.read(false))
            .await
            .iter()
            .map(String::len)
            .collect::<Vec<_>>();
        assert_eq!(lengths, [MAX_LINE_BYTES, 1, MAX_LINE_BYTES, 1]);
    }

    #[tokio::test]
    async fn attached_client_receives_output_before_its_line_is_complete() {
        let (writer, log) = new(clock());
        let (mut container, output) = tokio::io::duplex(64);
        let fanout = OutputFanout::new();
        let mut attached = fanout.subscribe(&CancellationToken::new());
        let copying = tokio::spawn(writer.copy(output, fanout));
        container.write_all(b"prompt> ").await.unwrap();
        let mut prompt = [0; 8];
        attached.read_exact(&mut prompt).await.unwrap();
        assert_eq!(&prompt, b"prompt> ");
        assert!(texts(log.read(false)).await.is_empty());
        drop(container);
        copying.await.unwrap();
        assert_eq!(texts(log.read(false)).await, ["prompt> "]);
        assert_eq!(attached.read(&mut prompt).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn full_log_drops_its_oldest_lines() {
        let (writer, log) = new(clock());
        let line = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..12 {
            writer.append(line.clone());
        }
        assert_eq!(texts(log.read(false)).await.len(), 10);
    }
}
