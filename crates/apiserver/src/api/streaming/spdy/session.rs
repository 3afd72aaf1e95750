//! Server side of one SPDY connection, on which the client opens streams.
//!
//! SPDY's flow-control windows are not implemented, as in Kubernetes' clients and servers. A stream that is not read
//! therefore blocks all later data on the same connection.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::super::CHUNK_LEN;
use super::frames::{self, Fin, Frame, ResetReason};
use super::headers::{self, BlockPosition, HeaderDecoder, Headers};

/// Maximum number of open streams.
const MAX_STREAMS: usize = 512;

/// Time for which a client that has closed its side may still receive queued frames.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Handler of the streams of a connection.
pub(in crate::api) trait StreamHandler: Send {
    /// Meaning of a stream to the handler.
    type StreamRole;

    /// Returns the role of a stream with these headers; `None` rejects the stream.
    fn role(&self, headers: &Headers) -> Option<Self::StreamRole>;

    /// Takes over the stream, which is closed when it is dropped.
    fn open(&mut self, role: Self::StreamRole, stream: Stream);
}

/// Stream that a client has opened.
pub(in crate::api) struct Stream {
    /// Data from the client, until the client closes its side.
    pub(in crate::api) input: mpsc::Receiver<Bytes>,
    pub(in crate::api) output: Output,
    /// Resolves when the client resets the stream or the connection closes.
    pub(in crate::api) reset: oneshot::Receiver<()>,
}

/// Data to the client on one stream.
#[derive(Clone)]
pub(in crate::api) struct Output {
    stream: u32,
    frames: mpsc::Sender<Bytes>,
}

/// The connection is closed.
#[derive(Debug)]
pub(in crate::api) struct ConnectionClosed;

impl Output {
    pub(in crate::api) async fn write(&self, bytes: &[u8]) -> Result<(), ConnectionClosed> {
        self.send(Fin::No, bytes).await
    }

    /// Writes the last data of the stream.
    pub(in crate::api) async fn finish(&self, bytes: &[u8]) -> Result<(), ConnectionClosed> {
        self.send(Fin::Yes, bytes).await
    }

    async fn send(&self, fin: Fin, bytes: &[u8]) -> Result<(), ConnectionClosed> {
        let frame = frames::data(self.stream, fin, bytes);
        self.frames.send(frame).await.map_err(|_| ConnectionClosed)
    }

    /// Writes everything that can be read from `from`, then closes this side of the stream.
    pub(in crate::api) async fn copy(
        &self,
        mut from: impl AsyncRead + Unpin,
    ) -> Result<(), ConnectionClosed> {
        let mut buffer = BytesMut::with_capacity(CHUNK_LEN);
        while let Ok(1..) = from.read_buf(&mut buffer).await {
            self.write(&buffer).await?;
            buffer.clear();
        }
        self.finish(b"").await
    }
}

/// Serves until the client closes the connection, or until `finished` completes and all queued frames are written.
pub(in crate::api) async fn serve(
    connection: impl AsyncRead + AsyncWrite + Send + 'static,
    handler: impl StreamHandler,
    finished: impl Future<Output = ()>,
) {
    let (read, write) = tokio::io::split(connection);
    let mut read = BufReader::new(read);
    let (frames, outbox) = mpsc::channel(16);
    let writer = AbortOnDropHandle::new(tokio::spawn(write_frames(write, outbox)));
    let mut session = Session {
        handler,
        frames,
        header_decoder: HeaderDecoder::new(),
        next_block: BlockPosition::First,
        last_stream: 0,
        streams: HashMap::new(),
    };
    let closed = tokio::select! {
        closed = session.read(&mut read) => Some(closed),
        () = finished => None,
    };
    if let Some(Err(error)) = &closed {
        tracing::debug!(%error, "SPDY connection closed with an error");
        let go_away = frames::go_away(session.last_stream);
        let _ = session.frames.send(go_away).await;
    }
    drop(session);
    if closed.is_some() {
        let _ = timeout(DRAIN_TIMEOUT, writer).await;
        return;
    }
    // A client that stays connected may take any time to receive the queued frames. Its own data is discarded.
    let mut discarded = tokio::io::sink();
    tokio::select! {
        _ = writer => {}
        _ = tokio::io::copy_buf(&mut read, &mut discarded) => {}
    }
}

async fn write_frames(mut to: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<Bytes>) {
    while let Some(frame) = frames.recv().await {
        if to.write_all(&frame).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// Connection's side of an open stream.
struct StreamHandle {
    /// `None` once the client has closed its side or the handler has dropped the receiver.
    input: Option<mpsc::Sender<Bytes>>,
    /// Closed when the handler has dropped the stream.
    reset: oneshot::Sender<()>,
}

struct Session<H> {
    handler: H,
    frames: mpsc::Sender<Bytes>,
    header_decoder: HeaderDecoder,
    /// Position of the next header block that this server sends.
    next_block: BlockPosition,
    last_stream: u32,
    streams: HashMap<u32, StreamHandle>,
}

impl<H: StreamHandler> Session<H> {
    async fn read(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        while let Some(frame) = frames::read(from).await? {
            match frame {
                Frame::Open {
                    stream,
                    fin,
                    headers,
                } => self.open(stream, fin, &headers).await?,
                Frame::Data {
                    stream,
                    fin,
                    length,
                } => self.read_data(from, stream, fin, length).await?,
                Frame::Headers { headers } => {
                    // The headers are ignored, but the decompressor needs every block.
                    self.header_decoder
                        .decode(&headers)
                        .map_err(io::Error::other)?;
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

    async fn open(&mut self, stream: u32, fin: Fin, block: &[u8]) -> io::Result<()> {
        let headers = self
            .header_decoder
            .decode(block)
            .map_err(io::Error::other)?;
        if stream.is_multiple_of(2) || stream <= self.last_stream {
            return Err(frames::invalid(format!(
                "invalid stream {stream} after stream {}: must be odd and greater",
                self.last_stream
            )));
        }
        self.last_stream = stream;
        self.streams.retain(|_, handle| !handle.reset.is_closed());
        if self.streams.len() >= MAX_STREAMS {
            return self.reject(stream, ResetReason::RefusedStream).await;
        }
        let Some(role) = self.handler.role(&headers) else {
            return self.reject(stream, ResetReason::ProtocolError).await;
        };
        let reply = frames::reply(stream, headers::empty_header_block(self.next_block));
        self.next_block = BlockPosition::Later;
        self.send(reply).await?;
        let (sender, input) = mpsc::channel(16);
        let (reset_sender, reset) = oneshot::channel();
        let handle = StreamHandle {
            input: (fin == Fin::No).then_some(sender),
            reset: reset_sender,
        };
        self.streams.insert(stream, handle);
        let opened = Stream {
            input,
            output: Output {
                stream,
                frames: self.frames.clone(),
            },
            reset,
        };
        self.handler.open(role, opened);
        Ok(())
    }

    async fn reject(&self, stream: u32, reason: ResetReason) -> io::Result<()> {
        self.send(frames::reset(stream, reason)).await
    }

    async fn read_data(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        stream: u32,
        fin: Fin,
        mut length: usize,
    ) -> io::Result<()> {
        while length > 0 {
            let mut bytes = BytesMut::zeroed(length.min(CHUNK_LEN));
            from.read_exact(&mut bytes).await?;
            length -= bytes.len();
            self.deliver(stream, bytes.freeze()).await;
        }
        if fin == Fin::Yes
            && let Some(handle) = self.streams.get_mut(&stream)
        {
            handle.input = None;
        }
        Ok(())
    }

    async fn deliver(&mut self, stream: u32, bytes: Bytes) {
        let Some(handle) = self.streams.get_mut(&stream) else {
            return;
        };
        if let Some(input) = &handle.input
            && input.send(bytes).await.is_err()
        {
            handle.input = None;
        }
    }

    fn reset(&mut self, stream: u32) {
        if let Some(handle) = self.streams.remove(&stream) {
            let _ = handle.reset.send(());
        }
    }
}

#[cfg(test)]
mod tests;
