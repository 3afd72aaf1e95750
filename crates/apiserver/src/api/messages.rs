//! What a WebSocket carries here.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::SplitStream;

/// The next message, of whichever type; none once the other side has closed.
pub(super) async fn next(from: &mut SplitStream<WebSocket>) -> Option<Bytes> {
    loop {
        match from.next().await?.ok()? {
            Message::Binary(bytes) => return Some(bytes),
            Message::Text(text) => return Some(text.into()),
            Message::Close(_) => return None,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}

/// Clients take every other close, and one without a code, for a broken connection.
pub(super) fn end() -> Message {
    Message::Close(Some(CloseFrame {
        code: close_code::NORMAL,
        reason: Utf8Bytes::default(),
    }))
}
