//! A command in a container, with its streams over a WebSocket: the subprotocols v5 and v4 of `channel.k8s.io`.

use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _};
use http::request::Parts;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::container::{self, Instance};
use super::path::Path;
use super::query::Query;
use super::{Api, Failure, messages};
use crate::runtime::{ExecOptions, ExecSession, RuntimeError};

const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// The first byte of each message says which stream it is of.
mod channel {
    pub(super) const STDIN: u8 = 0;
    pub(super) const STDOUT: u8 = 1;
    pub(super) const STDERR: u8 = 2;
    pub(super) const ERROR: u8 = 3;
    pub(super) const RESIZE: u8 = 4;
    /// v5: the stream named by the next byte has ended.
    pub(super) const CLOSE: u8 = 255;
}

/// The most that one message carries.
const CHUNK: usize = 32 << 10;

pub(super) async fn respond(
    api: &Api,
    path: &Path,
    query: &Query,
    mut parts: Parts,
) -> Result<Response, Failure> {
    let text = parts.uri.query().unwrap_or_default().to_owned();
    let pairs = url::form_urlencoded::parse(text.as_bytes()).into_owned();
    let command: Vec<String> = pairs
        .filter(|(name, _)| name == "command")
        .map(|(_, value)| value)
        .collect();
    if command.is_empty() {
        return Err(Failure::bad_request(
            "you must specify at least 1 container command",
        ));
    }
    let id = container::find(api, path, query, Instance::Running)?;
    let runtime = container::runtime(api)?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|_| {
            Failure::bad_request("Upgrade request required: exec is served over WebSocket")
        })?;
    let options = ExecOptions {
        stdin: query.is_set("stdin"),
        tty: query.is_set("tty"),
    };
    let session = runtime.exec_stream(&id, &command, options).await;
    Ok(upgrade
        .protocols(PROTOCOLS)
        .on_upgrade(move |socket| serve(socket, session)))
}

async fn serve(socket: WebSocket, session: Result<ExecSession, RuntimeError>) {
    let (mut outgoing, mut incoming) = socket.split();
    let mut session = match session {
        Ok(session) => session,
        Err(error) => {
            let _ = outgoing.send(framed(channel::ERROR, &failed(&error))).await;
            let _ = outgoing.send(end()).await;
            return;
        }
    };
    let (sender, mut outbox) = mpsc::channel::<Message>(16);
    let pumps = [
        Some((channel::STDOUT, session.stdout)),
        session
            .stderr
            .take()
            .map(|stderr| (channel::STDERR, stderr)),
    ];
    let mut running = tokio::task::JoinSet::new();
    for (channel, stream) in pumps.into_iter().flatten() {
        running.spawn(pump(channel, stream, sender.clone()));
    }
    let (stdin, resize) = (session.stdin, session.resize);
    let input = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        let mut stdin = stdin;
        while let Some(bytes) = messages::next(&mut incoming).await {
            match (bytes.first().copied(), bytes.get(1..)) {
                (Some(channel::STDIN), Some(data)) => {
                    if let Some(open) = &mut stdin
                        && open.write_all(data).await.is_err()
                    {
                        stdin = None;
                    }
                }
                (Some(channel::CLOSE), Some([channel::STDIN])) => stdin = None,
                (Some(channel::RESIZE), Some(data)) => {
                    if let (Some(resize), Some(size)) = (&resize, size(data)) {
                        let _ = resize.send(size).await;
                    }
                }
                _ => {}
            }
        }
    }));
    let exit = session.exit;
    let finish = async move {
        let exit = exit.await;
        while running.join_next().await.is_some() {}
        let status = match exit {
            Ok(0) => json!({"metadata": {}, "status": "Success"}),
            Ok(code) => ended(code),
            Err(error) => failed(&error),
        };
        let _ = sender.send(framed(channel::ERROR, &status)).await;
    };
    let write = async {
        while let Some(message) = outbox.recv().await {
            if outgoing.send(message).await.is_err() {
                return;
            }
        }
        let _ = outgoing.send(end()).await;
    };
    // When the caller is gone, dropping the session ends the command.
    tokio::pin!(finish, write);
    tokio::select! {
        () = &mut write => {}
        () = &mut finish => write.await,
    }
    drop(input);
}

async fn pump(
    channel: u8,
    mut stream: Box<dyn AsyncRead + Send + Unpin>,
    to: mpsc::Sender<Message>,
) {
    loop {
        let mut bytes = BytesMut::with_capacity(CHUNK);
        bytes.put_u8(channel);
        match stream.read_buf(&mut bytes).await {
            Ok(read) if read > 0 => {
                if to.send(Message::Binary(bytes.freeze())).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// Clients take every other close, and one without a code, for a broken connection.
fn end() -> Message {
    Message::Close(Some(CloseFrame {
        code: close_code::NORMAL,
        reason: Utf8Bytes::default(),
    }))
}

fn framed(channel: u8, status: &Value) -> Message {
    let mut bytes = vec![channel];
    bytes.extend(status.to_string().into_bytes());
    Message::Binary(Bytes::from(bytes))
}

fn ended(code: i32) -> Value {
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

fn failed(error: &RuntimeError) -> Value {
    json!({
        "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": format!("Internal error occurred: error executing command in container: {error}"),
    })
}

/// Columns and rows.
fn size(data: &[u8]) -> Option<(u16, u16)> {
    let value: Value = serde_json::from_slice(data).ok()?;
    let number = |name: &str| u16::try_from(value[name].as_u64()?).ok();
    Some((number("Width")?, number("Height")?))
}
