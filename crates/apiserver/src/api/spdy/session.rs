//! One SPDY connection: a client opens streams, says of each what it is for, and ends it, or all of them.
//!
//! Nobody keeps SPDY's windows here: Kubernetes' clients and servers never did. A stream that nobody reads holds up what
//! comes after on the same connection.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::frames::{self, Frame, Refusal};
use super::headers::{self, Headers, Inflate};

/// So many streams are open at a time.
const STREAMS: usize = 512;

/// The most of a stream that is handed on at a time.
const CHUNK: usize = 32 << 10;

/// So long a client has to take what was said last, when it has said all itself.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// What the streams of a connection are for.
pub(in crate::api) trait Streams: Send {
    /// What one of them is for.
    type Purpose;

    /// What a stream with these headers is for; without that it is refused.
    fn purpose(&self, headers: &Headers) -> Option<Self::Purpose>;

    /// Takes the stream, which is over when it is dropped.
    fn open(&mut self, purpose: Self::Purpose, stream: Stream);
}

/// A stream that a client opened.
pub(in crate::api) struct Stream {
    /// What the client says on it, until it has said all.
    pub(in crate::api) input: mpsc::Receiver<Bytes>,
    /// What it is told on it.
    pub(in crate::api) output: Output,
    /// It wants no more of it.
    pub(in crate::api) reset: oneshot::Receiver<()>,
}

/// The side of a stream on which its client is told something.
#[derive(Clone)]
pub(in crate::api) struct Output {
    stream: u32,
    frames: mpsc::Sender<Bytes>,
}

/// The connection is no more.
#[derive(Debug)]
pub(in crate::api) struct Gone;

impl Output {
    pub(in crate::api) async fn say(&self, bytes: &[u8]) -> Result<(), Gone> {
        self.send(false, bytes).await
    }

    /// Says this at last.
    pub(in crate::api) async fn end(&self, bytes: &[u8]) -> Result<(), Gone> {
        self.send(true, bytes).await
    }

    async fn send(&self, last: bool, bytes: &[u8]) -> Result<(), Gone> {
        let frame = frames::data(self.stream, last, bytes);
        self.frames.send(frame).await.map_err(|_| Gone)
    }

    /// Says all that comes from there, and ends.
    pub(in crate::api) async fn copy(&self, mut from: impl AsyncRead + Unpin) -> Result<(), Gone> {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        while let Ok(1..) = from.read_buf(&mut buffer).await {
            self.say(&buffer).await?;
            buffer.clear();
        }
        self.end(b"").await
    }
}

/// Serves until the client ends it, or until `over`: then all that was said is still sent.
pub(in crate::api) async fn serve(
    connection: impl AsyncRead + AsyncWrite + Send + 'static,
    streams: impl Streams,
    over: impl Future<Output = ()>,
) {
    let (read, write) = tokio::io::split(connection);
    let mut read = BufReader::new(read);
    let (frames, outbox) = mpsc::channel(16);
    let writing = AbortOnDropHandle::new(tokio::spawn(send(write, outbox)));
    let mut session = Session {
        streams,
        frames,
        inflate: Inflate::new(),
        replied: false,
        last: 0,
        open: HashMap::new(),
    };
    let ended = tokio::select! {
        ended = session.read(&mut read) => Some(ended),
        () = over => None,
    };
    if let Some(Err(error)) = &ended {
        tracing::debug!(%error, "a SPDY connection ended");
        let _ = session.frames.send(frames::go_away(session.last)).await;
    }
    drop(session);
    if ended.is_some() {
        let _ = timeout(AFTERWARDS, writing).await;
        return;
    }
    // Whoever is still there to read it has the time for it.
    let mut unheard = tokio::io::sink();
    tokio::select! {
        _ = writing => {}
        _ = tokio::io::copy_buf(&mut read, &mut unheard) => {}
    }
}

async fn send(mut to: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<Bytes>) {
    while let Some(frame) = frames.recv().await {
        if to.write_all(&frame).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// A stream as its connection knows it.
struct Open {
    /// Until the client has said all, or nobody listens any more.
    input: Option<mpsc::Sender<Bytes>>,
    /// Closed when the stream was dropped.
    reset: oneshot::Sender<()>,
}

struct Session<S> {
    streams: S,
    frames: mpsc::Sender<Bytes>,
    inflate: Inflate,
    /// Whether the first block of headers was sent.
    replied: bool,
    last: u32,
    open: HashMap<u32, Open>,
}

impl<S: Streams> Session<S> {
    async fn read(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        while let Some(frame) = frames::read(from).await? {
            match frame {
                Frame::Open {
                    stream,
                    last,
                    headers,
                } => self.open(stream, last, &headers).await?,
                Frame::Data {
                    stream,
                    last,
                    length,
                } => self.data(from, stream, last, length).await?,
                Frame::Headers { headers } => {
                    // Nothing is in them, but they are part of what is compressed.
                    self.inflate.read(&headers).map_err(io::Error::other)?;
                }
                Frame::Reset { stream } => self.reset(stream),
                Frame::Ping { id } => self.send(frames::ping(id)).await?,
                Frame::GoAway => return Ok(()),
                Frame::Other => {}
            }
        }
        Ok(())
    }

    async fn send(&self, frame: Bytes) -> io::Result<()> {
        let sent = self.frames.send(frame).await;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    async fn open(&mut self, stream: u32, last: bool, block: &[u8]) -> io::Result<()> {
        let headers = self.inflate.read(block).map_err(io::Error::other)?;
        if stream.is_multiple_of(2) || stream <= self.last {
            let message = format!("stream {stream} after {}", self.last);
            return Err(frames::invalid(message));
        }
        self.last = stream;
        self.open.retain(|_, open| !open.reset.is_closed());
        if self.open.len() >= STREAMS {
            return self.refuse(stream, Refusal::RefusedStream).await;
        }
        let Some(purpose) = self.streams.purpose(&headers) else {
            return self.refuse(stream, Refusal::ProtocolError).await;
        };
        let reply = frames::reply(stream, headers::nothing(!self.replied));
        self.replied = true;
        self.send(reply).await?;
        let (sender, input) = mpsc::channel(16);
        let (reset, resets) = oneshot::channel();
        let input_of_client = (!last).then_some(sender);
        let open = Open {
            input: input_of_client,
            reset,
        };
        self.open.insert(stream, open);
        let opened = Stream {
            input,
            output: Output {
                stream,
                frames: self.frames.clone(),
            },
            reset: resets,
        };
        self.streams.open(purpose, opened);
        Ok(())
    }

    async fn refuse(&self, stream: u32, why: Refusal) -> io::Result<()> {
        self.send(frames::reset(stream, why)).await
    }

    async fn data(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        stream: u32,
        last: bool,
        mut length: usize,
    ) -> io::Result<()> {
        while length > 0 {
            let mut bytes = BytesMut::zeroed(length.min(CHUNK));
            from.read_exact(&mut bytes).await?;
            length -= bytes.len();
            self.hand_on(stream, bytes.freeze()).await;
        }
        if last && let Some(open) = self.open.get_mut(&stream) {
            open.input = None;
        }
        Ok(())
    }

    async fn hand_on(&mut self, stream: u32, bytes: Bytes) {
        let Some(open) = self.open.get_mut(&stream) else {
            return;
        };
        if let Some(input) = &open.input
            && input.send(bytes).await.is_err()
        {
            open.input = None;
        }
    }

    fn reset(&mut self, stream: u32) {
        if let Some(open) = self.open.remove(&stream) {
            let _ = open.reset.send(());
        }
    }
}

#[cfg(test)]
mod tests;
