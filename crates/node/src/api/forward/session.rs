//! One SPDY connection, on which a client opens two streams for each connection to a port: one for what is carried, and one
//! for what goes wrong. They name the same request.
//!
//! Nobody keeps SPDY's windows here: Kubernetes' clients and servers never did. A pod that does not read holds up what comes
//! after on the same session.

use std::collections::HashMap;
use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::connection::{AFTERWARDS, Carried, forward};
use super::headers::{self, Inflate};
use super::spdy::{self, Frame, Refusal};
use super::{CHUNK, Pod};

/// So many streams are open at a time, two for a connection.
const STREAMS: usize = 512;

/// Serves until the client ends it.
pub(super) async fn serve(connection: impl AsyncRead + AsyncWrite + Send + 'static, pod: Pod) {
    let (read, write) = tokio::io::split(connection);
    let (frames, outbox) = mpsc::channel(16);
    let writing = AbortOnDropHandle::new(tokio::spawn(send(write, outbox)));
    let mut session = Session {
        pod,
        frames,
        inflate: Inflate::new(),
        replied: false,
        last: 0,
        streams: HashMap::new(),
        waiting: HashMap::new(),
        connections: JoinSet::new(),
    };
    if let Err(error) = session.read(&mut BufReader::new(read)).await {
        tracing::debug!(%error, pod = session.pod.name, "forwarding ports ended");
        let _ = session.frames.send(spdy::go_away(session.last)).await;
    }
    drop(session);
    // What was said last is sent, unless nobody takes it.
    let _ = timeout(AFTERWARDS, writing).await;
}

async fn send(mut to: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<Bytes>) {
    while let Some(frame) = frames.recv().await {
        if to.write_all(&frame).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// What the client opened.
enum Stream {
    /// It says nothing on it.
    Error,
    Data {
        /// Until the client has said all.
        input: Option<mpsc::Sender<Bytes>>,
        /// The client wants no more of it.
        reset: CancellationToken,
        /// Once both streams are there.
        connection: Option<AbortHandle>,
    },
}

/// One of two streams, whose other one has not come yet.
enum Half {
    Error(u32),
    Data(Carried),
}

struct Session {
    pod: Pod,
    frames: mpsc::Sender<Bytes>,
    inflate: Inflate,
    /// Whether the first block of headers was sent.
    replied: bool,
    last: u32,
    streams: HashMap<u32, Stream>,
    waiting: HashMap<String, Half>,
    connections: JoinSet<()>,
}

impl Session {
    async fn read(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        while let Some(frame) = spdy::read(from).await? {
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
                Frame::Ping { id } => self.send(spdy::ping(id)).await?,
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
            return Err(spdy::invalid(format!(
                "stream {stream} after {}",
                self.last
            )));
        }
        self.last = stream;
        self.sweep();
        if self.streams.len() >= STREAMS {
            return self.send(spdy::reset(stream, Refusal::RefusedStream)).await;
        }
        let value = |name: &str| {
            let found = headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        let port = value("port").and_then(|port| port.parse().ok());
        let port = port.filter(|port| *port > 0);
        let (kind, request) = (value("streamtype"), value("requestid"));
        let (Some(kind @ ("error" | "data")), Some(request), Some(port)) = (kind, request, port)
        else {
            return self.send(spdy::reset(stream, Refusal::ProtocolError)).await;
        };
        let reply = spdy::reply(stream, headers::nothing(!self.replied));
        self.replied = true;
        self.send(reply).await?;
        let half = if kind == "error" {
            self.streams.insert(stream, Stream::Error);
            Half::Error(stream)
        } else {
            Half::Data(self.carry(stream, last))
        };
        self.pair(request.to_owned(), port, half);
        Ok(())
    }

    fn carry(&mut self, stream: u32, last: bool) -> Carried {
        let (sender, input) = mpsc::channel(16);
        let reset = CancellationToken::new();
        let entry = Stream::Data {
            input: (!last).then_some(sender),
            reset: reset.clone(),
            connection: None,
        };
        self.streams.insert(stream, entry);
        Carried {
            stream,
            input,
            reset,
        }
    }

    /// Connects once both streams of a request are there.
    fn pair(&mut self, request: String, port: u16, half: Half) {
        let (errors, carried) = match (self.waiting.remove(&request), half) {
            (Some(Half::Error(errors)), Half::Data(carried))
            | (Some(Half::Data(carried)), Half::Error(errors)) => (errors, carried),
            (_, half) => {
                self.waiting.insert(request, half);
                return;
            }
        };
        let (stream, pod, frames) = (carried.stream, self.pod.clone(), self.frames.clone());
        let handle = self
            .connections
            .spawn(forward(pod, port, errors, carried, frames));
        self.streams.remove(&errors);
        if let Some(Stream::Data { connection, .. }) = self.streams.get_mut(&stream) {
            *connection = Some(handle);
        }
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
            if let Some(Stream::Data { input, reset, .. }) = self.streams.get_mut(&stream)
                && let Some(open) = input
            {
                let taken = tokio::select! {
                    taken = open.send(bytes.freeze()) => taken.is_ok(),
                    () = reset.cancelled() => false,
                };
                if !taken {
                    *input = None;
                }
            }
        }
        if last && let Some(Stream::Data { input, .. }) = self.streams.get_mut(&stream) {
            *input = None;
        }
        Ok(())
    }

    fn reset(&mut self, stream: u32) {
        if let Some(Stream::Data { reset, .. }) = self.streams.remove(&stream) {
            reset.cancel();
        }
    }

    /// Forgets connections that have ended.
    fn sweep(&mut self) {
        while self.connections.try_join_next().is_some() {}
        self.streams.retain(|_, stream| match stream {
            Stream::Data {
                connection: Some(connection),
                ..
            } => !connection.is_finished(),
            _ => true,
        });
    }
}
