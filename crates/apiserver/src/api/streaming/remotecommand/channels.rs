//! Streams of a session over a WebSocket. The first byte of each message is the channel of the stream.

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

use super::super::{CHUNK_LEN, websocket};
use super::size::TerminalSize;
use super::{BASE64_V1, BASE64_V4, StartSession, V4, V5, status};

mod channel {
    pub(super) const STDIN: u8 = 0;
    pub(super) const STDOUT: u8 = 1;
    pub(super) const STDERR: u8 = 2;
    pub(super) const ERROR: u8 = 3;
    pub(super) const RESIZE: u8 = 4;
    /// v5: the client has closed the stream of the channel in the next byte.
    pub(super) const CLOSE: u8 = 255;
}

/// Encoding of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Binary,
    /// Text messages: the channel as a digit, then the data in base64.
    Base64,
}

/// Format of the message on the error channel that reports the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StatusFormat {
    /// A `Status` object.
    Json,
    /// Before v4: the message of a failure; a success is not reported.
    PlainText,
}

impl StatusFormat {
    fn message(self, exit: Result<i32, String>) -> Option<Message> {
        let status = status::from_exit(exit);
        let text = match self {
            Self::Json => Some(status.to_string()),
            Self::PlainText => status["message"].as_str().map(str::to_owned),
        };
        text.map(|text| framed(channel::ERROR, &text))
    }
}

pub(super) async fn serve(socket: WebSocket, start: StartSession) {
    let protocol = socket.protocol().and_then(|name| name.to_str().ok());
    let protocol = protocol.unwrap_or_default().to_owned();
    let encoding = if [BASE64_V1, BASE64_V4].contains(&protocol.as_str()) {
        Encoding::Base64
    } else {
        Encoding::Binary
    };
    let status_format = if [V5, V4, BASE64_V4].contains(&protocol.as_str()) {
        StatusFormat::Json
    } else {
        StatusFormat::PlainText
    };
    let (mut outgoing, incoming) = socket.split();
    let mut session = match start.await {
        Ok(session) => session,
        Err(error) => {
            if let Some(message) = status_format.message(Err(error)) {
                let _ = outgoing.send(encode(message, encoding)).await;
            }
            let _ = outgoing.send(websocket::close_message()).await;
            return;
        }
    };
    let (sender, mut outbox) = mpsc::channel::<Message>(16);
    let mut outputs = JoinSet::new();
    outputs.spawn(copy_output(channel::STDOUT, session.stdout, sender.clone()));
    if let Some(stderr) = session.stderr.take() {
        outputs.spawn(copy_output(channel::STDERR, stderr, sender.clone()));
    }
    let input = receive(incoming, encoding, session.stdin, session.resize);
    let _input = AbortOnDropHandle::new(tokio::spawn(input));
    let exit = session.exit;
    let finish = async move {
        let exit = exit.await.map_err(|error| error.to_string());
        while outputs.join_next().await.is_some() {}
        if let Some(message) = status_format.message(exit) {
            let _ = sender.send(message).await;
        }
    };
    let write = async {
        while let Some(message) = outbox.recv().await {
            if outgoing.send(encode(message, encoding)).await.is_err() {
                return;
            }
        }
        let _ = outgoing.send(websocket::close_message()).await;
    };
    // If the client has disconnected, dropping the session kills the command.
    tokio::pin!(finish, write);
    tokio::select! {
        () = &mut write => {}
        () = &mut finish => write.await,
    }
}

/// Forwards the client's messages to the command until the client closes the connection.
async fn receive(
    mut from: SplitStream<WebSocket>,
    encoding: Encoding,
    mut stdin: Option<Input>,
    resize: Option<mpsc::Sender<(u16, u16)>>,
) {
    while let Some(message) = websocket::next_message(&mut from).await {
        let Some(bytes) = decode(message, encoding) else {
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
                let size = serde_json::from_slice::<TerminalSize>(data).ok();
                let size = size.and_then(|size| size.columns_and_rows());
                if let (Some(resize), Some(size)) = (&resize, size) {
                    let _ = resize.send(size).await;
                }
            }
            _ => {}
        }
    }
}

async fn copy_output(channel: u8, mut stream: impl AsyncRead + Unpin, to: mpsc::Sender<Message>) {
    loop {
        let mut bytes = BytesMut::with_capacity(CHUNK_LEN);
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

/// Encodes a binary message for the subprotocol.
fn encode(message: Message, encoding: Encoding) -> Message {
    match message {
        Message::Binary(bytes) if encoding == Encoding::Base64 => {
            let (channel, content) = bytes.split_first().unwrap_or((&0, &[]));
            let digit = char::from(b'0' + channel);
            Message::Text(format!("{digit}{}", STANDARD.encode(content)).into())
        }
        other => other,
    }
}

/// Decodes a client's message to the channel followed by the data; `None` if it is malformed.
fn decode(message: Bytes, encoding: Encoding) -> Option<Bytes> {
    if encoding == Encoding::Binary {
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
    fn base64_message_starts_with_the_channel_as_a_digit() {
        let message = framed(channel::STDOUT, "hi\n");
        assert_eq!(encode(message.clone(), Encoding::Binary), message);
        let text = |text: &'static str| Message::Text(text.into());
        assert_eq!(encode(message, Encoding::Base64), text("1aGkK"));
        let empty = framed(channel::ERROR, "");
        assert_eq!(encode(empty, Encoding::Base64), text("3"));
    }

    #[test]
    fn base64_message_of_the_client_is_decoded() {
        let decode_text =
            |text: &'static str| decode(Bytes::from_static(text.as_bytes()), Encoding::Base64);
        assert_eq!(decode_text("0aGkK").as_deref(), Some(&b"\x00hi\n"[..]));
        assert_eq!(decode_text("4").as_deref(), Some(&b"\x04"[..]));
        for malformed in ["", "0?", "\n"] {
            assert_eq!(decode_text(malformed), None, "{malformed:?}");
        }
        let bytes = Bytes::from_static(b"\x00hi");
        assert_eq!(decode(bytes.clone(), Encoding::Binary), Some(bytes));
    }
}
