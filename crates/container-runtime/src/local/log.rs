//! What a container prints, kept while its instance is known, and bounded: the oldest lines go first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt as _};
use probe::Clock;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;

use super::taps::Taps;
use crate::LogLine;

/// As much as the kubelet keeps of a container before it rotates.
const MAX_BYTES: usize = 10 << 20;

/// A longer line is several.
const MAX_LINE: usize = 16 << 10;

/// The most that is read at a time.
const CHUNK: usize = 8 << 10;

/// A log. Clones share it.
#[derive(Clone)]
pub(super) struct Log {
    lines: Arc<Mutex<Lines>>,
    /// How many lines there have been; the sender goes when there will be no more.
    changed: watch::Receiver<u64>,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<LogLine>,
    bytes: usize,
    /// The number of the first line that is kept.
    first: u64,
}

/// Writes a log. Dropping the last one ends it.
#[derive(Clone)]
pub(super) struct Writer {
    lines: Arc<Mutex<Lines>>,
    changed: Arc<watch::Sender<u64>>,
    clock: Clock,
}

pub(super) fn new(clock: Clock) -> (Writer, Log) {
    let lines = Arc::<Mutex<Lines>>::default();
    let (sender, changed) = watch::channel(0);
    let writer = Writer {
        lines: lines.clone(),
        changed: Arc::new(sender),
        clock,
    };
    (writer, Log { lines, changed })
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().expect("nothing panics while it holds a log")
}

/// The first line, if it is whole or as long as one may be. A copy: what is kept of a log is not to keep what it was read into.
fn line(pending: &mut BytesMut) -> Option<Bytes> {
    let end = pending
        .iter()
        .take(MAX_LINE)
        .position(|byte| *byte == b'\n');
    let longest = (pending.len() >= MAX_LINE).then_some(MAX_LINE);
    let length = end.map(|at| at + 1).or(longest)?;
    let line = Bytes::copy_from_slice(&pending[..length]);
    pending.advance(length);
    Some(line)
}

impl Writer {
    /// Copies a stream to its end, and shows it to whoever is attached.
    pub(super) async fn copy(self, mut stream: impl AsyncRead + Unpin, taps: Taps) {
        let mut pending = BytesMut::new();
        loop {
            let before = pending.len();
            pending.reserve(CHUNK);
            let Ok(1..) = stream.read_buf(&mut pending).await else {
                break;
            };
            taps.show(&pending[before..]).await;
            while let Some(line) = line(&mut pending) {
                self.add(line);
            }
        }
        if !pending.is_empty() {
            self.add(pending.freeze());
        }
        taps.end();
    }

    fn add(&self, text: Bytes) {
        let line = LogLine {
            at: self.clock.now(),
            text,
        };
        let mut lines = lock(&self.lines);
        lines.bytes += line.text.len();
        lines.kept.push_back(line);
        while lines.bytes > MAX_BYTES
            && let Some(oldest) = lines.kept.pop_front()
        {
            lines.bytes -= oldest.text.len();
            lines.first += 1;
        }
        let count = lines.first + lines.kept.len() as u64;
        drop(lines);
        self.changed.send_replace(count);
    }
}

impl Log {
    /// The lines from the first that is kept, and those to come if `follow`.
    pub(super) fn read(&self, follow: bool) -> BoxStream<'static, LogLine> {
        let log = self.clone();
        stream::unfold((log, 0), move |(mut log, next)| async move {
            loop {
                if let Some((line, after)) = log.line(next) {
                    return Some((line, (log, after)));
                }
                if !follow || log.changed.changed().await.is_err() {
                    // The writer may have gone right after its last line.
                    let (line, after) = log.line(next)?;
                    return Some((line, (log, after)));
                }
            }
        })
        .boxed()
    }

    /// All lines that are kept.
    pub(super) fn lines(&self) -> Vec<LogLine> {
        lock(&self.lines).kept.iter().cloned().collect()
    }

    /// Line `number`, or the first after it that is kept, and the number of the one after that.
    fn line(&self, number: u64) -> Option<(LogLine, u64)> {
        let lines = lock(&self.lines);
        let number = number.max(lines.first);
        let at = usize::try_from(number - lines.first).ok()?;
        Some((lines.kept.get(at)?.clone(), number + 1))
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
    async fn a_follower_sees_what_was_and_what_comes_until_the_end() {
        let (writer, log) = new(clock());
        writer.add("one\n".into());
        let following = tokio::spawn(texts(log.read(true)));
        tokio::task::yield_now().await;
        writer.copy(&b"two\nthree"[..], Taps::new()).await;
        assert_eq!(following.await.unwrap(), ["one\n", "two\n", "three"]);
        assert_eq!(texts(log.read(false)).await.len(), 3);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_several() {
        let (writer, log) = new(clock());
        let text = "x".repeat(MAX_LINE) + "\n" + &"y".repeat(MAX_LINE - 1) + "\nz";
        writer.copy(text.as_bytes(), Taps::new()).await;
        let lengths = texts(log.read(false))
            .await
            .iter()
            .map(String::len)
            .collect::<Vec<_>>();
        assert_eq!(lengths, [MAX_LINE, 1, MAX_LINE, 1]);
    }

    #[tokio::test]
    async fn whoever_is_attached_sees_it_before_a_line_is_whole() {
        let (writer, log) = new(clock());
        let (mut printing, printed) = tokio::io::duplex(64);
        let taps = Taps::new();
        let mut seen = taps.add(&CancellationToken::new());
        let copying = tokio::spawn(writer.copy(printed, taps));
        printing.write_all(b"prompt> ").await.unwrap();
        let mut prompt = [0; 8];
        seen.read_exact(&mut prompt).await.unwrap();
        assert_eq!(&prompt, b"prompt> ");
        assert!(texts(log.read(false)).await.is_empty());
        drop(printing);
        copying.await.unwrap();
        assert_eq!(texts(log.read(false)).await, ["prompt> "]);
        assert_eq!(seen.read(&mut prompt).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn the_oldest_lines_go_when_there_are_too_many() {
        let (writer, log) = new(clock());
        let line = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..12 {
            writer.add(line.clone());
        }
        assert_eq!(texts(log.read(false)).await.len(), 10);
    }
}
