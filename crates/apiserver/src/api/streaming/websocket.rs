//! Messages of a WebSocket.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::SplitStream;

/// Returns the payload of the next text or binary message; `None` once the peer has closed the connection.
pub(super) async fn next_message(from: &mut SplitStream<WebSocket>) -> Option<Bytes> {
    loop {
        match from.next().await?.ok()? {
            Message::Binary(bytes) => return Some(bytes),
            Message::Text(text) => return Some(text.into()),
            Message::Close(_) => return None,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}

/// Returns a normal closure. Clients treat any other close code, or none, as a broken connection.
pub(super) fn close_message() -> Message {
    Message::Close(Some(CloseFrame {
        code: close_code::NORMAL,
        reason: Utf8Bytes::default(),
    }))
}
