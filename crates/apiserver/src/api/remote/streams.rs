//! A command over SPDY: a client opens a stream for each of what it asks for, and names it.

use std::collections::HashMap;
use std::time::Duration;

use container_runtime::{ExecSession, Input};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::query::Query;
use super::super::spdy::{self, Headers, Stream, Streams};
use super::size::Size;
use super::{Start, status};

/// So long a client has to open its streams, as with the kubelet (streamCreationTimeout).
const CREATION: Duration = Duration::from_secs(30);

/// The most that the sizes of a terminal are kept of while one is not whole.
const SIZE: usize = 1024;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Error,
    Stdin,
    Stdout,
    Stderr,
    Resize,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "error" => Self::Error,
            "stdin" => Self::Stdin,
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            "resize" => Self::Resize,
            _ => return None,
        })
    }

    /// Whether a client says something on it.
    fn is_input(self) -> bool {
        matches!(self, Self::Stdin | Self::Resize)
    }
}

/// The streams that a client opens which asks for this.
pub(super) fn wanted(query: &Query) -> Vec<Kind> {
    let tty = query.is_set("tty");
    let asked = [
        (Kind::Error, true),
        (Kind::Stdin, query.is_set("stdin")),
        (Kind::Stdout, query.is_set("stdout")),
        // A terminal has one output.
        (Kind::Stderr, query.is_set("stderr") && !tty),
        (Kind::Resize, tty),
    ];
    let asked = asked.into_iter().filter(|(_, asked)| *asked);
    asked.map(|(kind, _)| kind).collect()
}

/// Hands the streams of a client on.
struct Opened(mpsc::Sender<(Kind, Stream)>);

impl Streams for Opened {
    type Purpose = Kind;

    fn purpose(&self, headers: &Headers) -> Option<Kind> {
        Kind::named(headers.get("streamtype")?)
    }

    fn open(&mut self, kind: Kind, mut stream: Stream) {
        if !kind.is_input() {
            stream.input.close();
        }
        // There is room for all that a client can ask for: what is more than that is dropped.
        let _ = self.0.try_send((kind, stream));
    }
}

/// Runs a command on the streams of `connection`, as soon as all that are wanted are there.
pub(super) async fn serve(
    connection: impl AsyncRead + AsyncWrite + Send + 'static,
    wanted: &[Kind],
    start: Start,
) {
    let (sender, opened) = mpsc::channel(8);
    let command = async {
        match timeout(CREATION, collect(wanted, opened)).await {
            Ok(Some(streams)) => run(streams, start).await,
            Ok(None) => {}
            Err(_) => tracing::debug!(?wanted, "a client did not open its streams in time"),
        }
    };
    spdy::serve(connection, Opened(sender), command).await;
}

async fn collect(
    wanted: &[Kind],
    mut opened: mpsc::Receiver<(Kind, Stream)>,
) -> Option<HashMap<Kind, Stream>> {
    let mut streams = HashMap::new();
    while !wanted.iter().all(|kind| streams.contains_key(kind)) {
        let (kind, stream) = opened.recv().await?;
        streams.insert(kind, stream);
    }
    Some(streams)
}

async fn run(mut streams: HashMap<Kind, Stream>, start: Start) {
    let Some(errors) = streams.remove(&Kind::Error) else {
        return;
    };
    let exit = match start.await {
        Ok(session) => attended(streams, session).await,
        Err(why) => Err(why),
    };
    let told = status::of(exit).to_string();
    let _ = errors.output.end(told.as_bytes()).await;
}

/// The command's end, and that of all it printed.
async fn attended(mut streams: HashMap<Kind, Stream>, session: ExecSession) -> Result<i32, String> {
    let mut take = |kind| streams.remove(&kind);
    let stdout = print(take(Kind::Stdout), Some(session.stdout));
    let stderr = print(take(Kind::Stderr), session.stderr);
    let stdin = feed(take(Kind::Stdin), session.stdin);
    let resize = resize(take(Kind::Resize), session.resize);
    // What a client says is of no more use when the command has ended.
    let input = async {
        tokio::join!(stdin, resize);
        std::future::pending().await
    };
    let printed = async { tokio::join!(session.exit, stdout, stderr).0 };
    tokio::select! {
        exit = printed => exit.map_err(|error| error.to_string()),
        never = input => never,
    }
}

/// Nobody may have asked for it: a command is not to wait for one who reads it.
async fn print(to: Option<Stream>, from: Option<impl AsyncRead + Unpin>) {
    match (to, from) {
        (Some(stream), Some(from)) => drop(stream.output.copy(from).await),
        (Some(stream), None) => drop(stream.output.end(b"").await),
        (None, Some(mut from)) => {
            let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
        }
        (None, None) => {}
    }
}

/// Ends the command's input with the client's.
async fn feed(from: Option<Stream>, to: Option<Input>) {
    let (Some(mut stream), Some(mut to)) = (from, to) else {
        return;
    };
    while let Some(bytes) = stream.input.recv().await {
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn resize(from: Option<Stream>, to: Option<mpsc::Sender<(u16, u16)>>) {
    let (Some(mut stream), Some(to)) = (from, to) else {
        return;
    };
    let mut text = Vec::new();
    while let Some(bytes) = stream.input.recv().await {
        text.extend_from_slice(&bytes);
        let mut sizes = serde_json::Deserializer::from_slice(&text).into_iter::<Size>();
        let mut read = 0;
        while let Some(size) = sizes.next() {
            match size {
                Ok(size) => {
                    read = sizes.byte_offset();
                    if let Some(size) = size.known() {
                        let _ = to.send(size).await;
                    }
                }
                Err(error) if error.is_eof() && text.len() < SIZE => break,
                Err(_) => return,
            }
        }
        text.drain(..read);
    }
}

#[cfg(test)]
mod tests;
