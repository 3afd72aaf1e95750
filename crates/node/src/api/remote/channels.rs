//! A command over a WebSocket, of whose messages the first byte says which stream they are of.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::{BufMut as _, BytesMut};
use futures::stream::SplitStream;
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::super::messages;
use super::size::Size;
use super::{Start, status};
use crate::runtime::Input;

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

pub(super) async fn serve(socket: WebSocket, start: Start) {
    let (mut outgoing, incoming) = socket.split();
    let mut session = match start.await {
        Ok(session) => session,
        Err(why) => {
            let told = framed(channel::ERROR, &status::of(Err(why)));
            let _ = outgoing.send(told).await;
            let _ = outgoing.send(end()).await;
            return;
        }
    };
    let (sender, mut outbox) = mpsc::channel::<Message>(16);
    let mut running = JoinSet::new();
    running.spawn(pump(channel::STDOUT, session.stdout, sender.clone()));
    if let Some(stderr) = session.stderr.take() {
        running.spawn(pump(channel::STDERR, stderr, sender.clone()));
    }
    let input = receive(incoming, session.stdin, session.resize);
    let _input = AbortOnDropHandle::new(tokio::spawn(input));
    let exit = session.exit;
    let finish = async move {
        let exit = exit.await.map_err(|error| error.to_string());
        while running.join_next().await.is_some() {}
        let told = framed(channel::ERROR, &status::of(exit));
        let _ = sender.send(told).await;
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
}

/// Takes what the client sends to the command, until it has closed.
async fn receive(
    mut from: SplitStream<WebSocket>,
    mut stdin: Option<Input>,
    resize: Option<mpsc::Sender<(u16, u16)>>,
) {
    while let Some(bytes) = messages::next(&mut from).await {
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
                let size = serde_json::from_slice::<Size>(data).ok();
                if let (Some(resize), Some(size)) = (&resize, size.and_then(|size| size.known())) {
                    let _ = resize.send(size).await;
                }
            }
            _ => {}
        }
    }
}

async fn pump(channel: u8, mut stream: impl AsyncRead + Unpin, to: mpsc::Sender<Message>) {
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
    Message::Binary(bytes.into())
}
