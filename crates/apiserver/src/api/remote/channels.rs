//! A command over a WebSocket, of whose messages the first byte says which stream they are of.

use axum::extract::ws::{Message, WebSocket};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut as _, Bytes, BytesMut};
use container_runtime::Input;
use futures::stream::SplitStream;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::super::messages;
use super::size::Size;
use super::{BASE64, BASE64_V4, Start, V4, V5, status};

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
    let protocol = socket.protocol().and_then(|name| name.to_str().ok());
    let protocol = protocol.unwrap_or_default().to_owned();
    let in_text = [BASE64, BASE64_V4].contains(&protocol.as_str());
    // Before v4 an end is told of in words, and a good one not at all.
    let in_words = ![V5, V4, BASE64_V4].contains(&protocol.as_str());
    let told = move |exit| {
        let status = status::of(exit);
        let told = if in_words {
            status["message"].as_str().map(str::to_owned)
        } else {
            Some(status.to_string())
        };
        told.map(|told| framed(channel::ERROR, &told))
    };
    let (mut outgoing, incoming) = socket.split();
    let mut session = match start.await {
        Ok(session) => session,
        Err(why) => {
            if let Some(told) = told(Err(why)) {
                let _ = outgoing.send(coded(told, in_text)).await;
            }
            let _ = outgoing.send(messages::end()).await;
            return;
        }
    };
    let (sender, mut outbox) = mpsc::channel::<Message>(16);
    let mut running = JoinSet::new();
    running.spawn(pump(channel::STDOUT, session.stdout, sender.clone()));
    if let Some(stderr) = session.stderr.take() {
        running.spawn(pump(channel::STDERR, stderr, sender.clone()));
    }
    let input = receive(incoming, in_text, session.stdin, session.resize);
    let _input = AbortOnDropHandle::new(tokio::spawn(input));
    let exit = session.exit;
    let finish = async move {
        let exit = exit.await.map_err(|error| error.to_string());
        while running.join_next().await.is_some() {}
        if let Some(told) = told(exit) {
            let _ = sender.send(told).await;
        }
    };
    let write = async {
        while let Some(message) = outbox.recv().await {
            if outgoing.send(coded(message, in_text)).await.is_err() {
                return;
            }
        }
        let _ = outgoing.send(messages::end()).await;
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
    in_text: bool,
    mut stdin: Option<Input>,
    resize: Option<mpsc::Sender<(u16, u16)>>,
) {
    while let Some(message) = messages::next(&mut from).await {
        let Some(bytes) = decoded(message, in_text) else {
            continue;
        };
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

fn framed(channel: u8, content: &str) -> Message {
    let mut bytes = vec![channel];
    bytes.extend(content.as_bytes());
    Message::Binary(bytes.into())
}

/// A message as the subprotocol has it: bytes, or a digit for the stream and text for the bytes.
fn coded(message: Message, in_text: bool) -> Message {
    match message {
        Message::Binary(bytes) if in_text => {
            let (channel, content) = bytes.split_first().unwrap_or((&0, &[]));
            let digit = char::from(b'0' + channel);
            Message::Text(format!("{digit}{}", STANDARD.encode(content)).into())
        }
        other => other,
    }
}

/// What a client's message says, stream first; none where it is no such message.
fn decoded(message: Bytes, in_text: bool) -> Option<Bytes> {
    if !in_text {
        return Some(message);
    }
    let (digit, content) = message.split_first()?;
    let mut bytes = vec![digit.checked_sub(b'0')?];
    STANDARD.decode_vec(content, &mut bytes).ok()?;
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_text_names_its_stream_by_a_digit() {
        let message = framed(channel::STDOUT, "hi\n");
        assert_eq!(coded(message.clone(), false), message);
        assert_eq!(coded(message, true), Message::Text("1aGkK".into()));
        let empty = framed(channel::ERROR, "");
        assert_eq!(coded(empty, true), Message::Text("3".into()));
    }

    #[test]
    fn what_a_client_sends_in_text_is_read() {
        let read = |text: &'static str| decoded(Bytes::from_static(text.as_bytes()), true);
        assert_eq!(read("0aGkK").as_deref(), Some(&b"\x00hi\n"[..]));
        assert_eq!(read("4").as_deref(), Some(&b"\x04"[..]));
        assert_eq!(read(""), None);
        assert_eq!(read("0?"), None);
        assert_eq!(read("\n"), None);
        let bytes = Bytes::from_static(b"\x00hi");
        assert_eq!(decoded(bytes.clone(), false), Some(bytes));
    }
}
