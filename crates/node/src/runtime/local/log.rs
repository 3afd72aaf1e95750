//! What a container prints, kept while its instance is known, and bounded: the oldest lines go first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use probe::Clock;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::sync::watch;

use crate::runtime::LogLine;

/// As much as the kubelet keeps of a container before it rotates.
const MAX_BYTES: usize = 10 << 20;

/// A longer line is several.
const MAX_LINE: u64 = 16 << 10;

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

impl Writer {
    /// Copies a stream to its end.
    pub(super) async fn copy(self, stream: impl AsyncRead + Unpin) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            let read = (&mut reader)
                .take(MAX_LINE)
                .read_until(b'\n', &mut line)
                .await;
            match read {
                Ok(read) if read > 0 => self.add(line.into()),
                _ => return,
            }
        }
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
        writer.copy(&b"two\nthree"[..]).await;
        assert_eq!(following.await.unwrap(), ["one\n", "two\n", "three"]);
        assert_eq!(texts(log.read(false)).await.len(), 3);
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
