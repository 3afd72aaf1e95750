//! What a WebSocket carries here: binary messages.

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::SplitStream;

/// The next one; none once the other side has closed.
pub(super) async fn next(from: &mut SplitStream<WebSocket>) -> Option<Bytes> {
    loop {
        match from.next().await?.ok()? {
            Message::Binary(bytes) => return Some(bytes),
            Message::Close(_) => return None,
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}
