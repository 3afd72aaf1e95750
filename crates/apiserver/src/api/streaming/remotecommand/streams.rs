//! Streams of a session over SPDY. The client opens one stream of each type that it requests.

use std::collections::HashMap;
use std::time::Duration;

use container_runtime::{ExecSession, Input};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::spdy::{self, Headers, Stream, StreamHandler};
use super::size::TerminalSize;
use super::{StartSession, status};
use crate::api::query::Query;

/// Time within which a client must open its streams (`DefaultStreamCreationTimeout`).
const STREAM_CREATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum length of an incomplete JSON object on the resize stream.
const MAX_TERMINAL_SIZE_LEN: usize = 1024;

/// Value of the header `streamType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum StreamType {
    Error,
    Stdin,
    Stdout,
    Stderr,
    Resize,
}

impl StreamType {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "error" => Self::Error,
            "stdin" => Self::Stdin,
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            "resize" => Self::Resize,
            _ => return None,
        })
    }

    /// Returns `true` if the client sends data on the stream.
    fn is_input(self) -> bool {
        matches!(self, Self::Stdin | Self::Resize)
    }
}

/// Returns the types of the streams that the client will open.
pub(super) fn requested_streams(query: &Query) -> Vec<StreamType> {
    let tty = query.is_set("tty");
    let requested = [
        (StreamType::Error, true),
        (StreamType::Stdin, query.is_set("stdin")),
        (StreamType::Stdout, query.is_set("stdout")),
        // A terminal has one output.
        (StreamType::Stderr, query.is_set("stderr") && !tty),
        (StreamType::Resize, tty),
    ];
    let requested = requested.into_iter().filter(|(_, requested)| *requested);
    requested.map(|(stream_type, _)| stream_type).collect()
}

/// Sends the opened streams to [`collect`].
struct StreamCollector(mpsc::Sender<(StreamType, Stream)>);

impl StreamHandler for StreamCollector {
    type StreamRole = StreamType;

    fn role(&self, headers: &Headers) -> Option<StreamType> {
        StreamType::parse(headers.get("streamtype")?)
    }

    fn open(&mut self, stream_type: StreamType, mut stream: Stream) {
        if !stream_type.is_input() {
            stream.input.close();
        }
        // The channel's capacity is at least the number of stream types; a client that opens more streams loses them.
        let _ = self.0.try_send((stream_type, stream));
    }
}

/// Runs a session on the streams of `connection`, as soon as the client has opened all of `stream_types`.
pub(super) async fn serve(
    connection: impl AsyncRead + AsyncWrite + Send + 'static,
    stream_types: &[StreamType],
    start: StartSession,
) {
    let (sender, opened) = mpsc::channel(8);
    let session = async {
        match timeout(STREAM_CREATION_TIMEOUT, collect(stream_types, opened)).await {
            Ok(Some(streams)) => run(streams, start).await,
            Ok(None) => {}
            Err(_) => tracing::debug!(?stream_types, "client did not open its streams in time"),
        }
    };
    spdy::serve(connection, StreamCollector(sender), session).await;
}

/// Waits for all streams; returns `None` if the connection closes first.
async fn collect(
    stream_types: &[StreamType],
    mut opened: mpsc::Receiver<(StreamType, Stream)>,
) -> Option<HashMap<StreamType, Stream>> {
    let mut streams = HashMap::new();
    while !stream_types.iter().all(|found| streams.contains_key(found)) {
        let (stream_type, stream) = opened.recv().await?;
        streams.insert(stream_type, stream);
    }
    Some(streams)
}

async fn run(mut streams: HashMap<StreamType, Stream>, start: StartSession) {
    let Some(error_stream) = streams.remove(&StreamType::Error) else {
        return;
    };
    let exit = match start.await {
        Ok(session) => run_session(streams, session).await,
        Err(error) => Err(error),
    };
    let status = status::from_exit(exit).to_string();
    let _ = error_stream.output.finish(status.as_bytes()).await;
}

/// Connects the streams with the session until the command has exited and all of its output is copied. Returns the exit
/// code.
async fn run_session(
    mut streams: HashMap<StreamType, Stream>,
    session: ExecSession,
) -> Result<i32, String> {
    let mut take = |stream_type| streams.remove(&stream_type);
    let stdout = copy_output(take(StreamType::Stdout), Some(session.stdout));
    let stderr = copy_output(take(StreamType::Stderr), session.stderr);
    let stdin = copy_stdin(take(StreamType::Stdin), session.stdin);
    let resize = copy_resizes(take(StreamType::Resize), session.resize);
    // The session ends with the command, even if the client still sends input.
    let input = async {
        tokio::join!(stdin, resize);
        std::future::pending().await
    };
    let output = async { tokio::join!(session.exit, stdout, stderr).0 };
    tokio::select! {
        exit = output => exit.map_err(|error| error.to_string()),
        never = input => never,
    }
}

/// Copies output to the client. Without a stream it is discarded, so that the command does not block on a full pipe.
async fn copy_output(to: Option<Stream>, from: Option<impl AsyncRead + Unpin>) {
    match (to, from) {
        (Some(stream), Some(from)) => drop(stream.output.copy(from).await),
        (Some(stream), None) => drop(stream.output.finish(b"").await),
        (None, Some(mut from)) => {
            let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
        }
        (None, None) => {}
    }
}

/// Copies the client's input, and closes the command's standard input when the client has closed its stream.
async fn copy_stdin(from: Option<Stream>, to: Option<Input>) {
    let (Some(mut stream), Some(mut to)) = (from, to) else {
        return;
    };
    while let Some(bytes) = stream.input.recv().await {
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Forwards terminal sizes, which are concatenated JSON objects. Ends at malformed JSON.
async fn copy_resizes(from: Option<Stream>, to: Option<mpsc::Sender<(u16, u16)>>) {
    let (Some(mut stream), Some(to)) = (from, to) else {
        return;
    };
    let mut text = Vec::new();
    while let Some(bytes) = stream.input.recv().await {
        text.extend_from_slice(&bytes);
        let mut sizes = serde_json::Deserializer::from_slice(&text).into_iter::<TerminalSize>();
        let mut parsed = 0;
        while let Some(size) = sizes.next() {
            match size {
                Ok(size) => {
                    parsed = sizes.byte_offset();
                    if let Some(size) = size.columns_and_rows() {
                        let _ = to.send(size).await;
                    }
                }
                Err(error) if error.is_eof() && text.len() < MAX_TERMINAL_SIZE_LEN => break,
                Err(_) => return,
            }
        }
        text.drain(..parsed);
    }
}

#[cfg(test)]
mod tests;
