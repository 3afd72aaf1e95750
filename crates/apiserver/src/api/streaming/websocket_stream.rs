//! Logs and watches over a WebSocket, which is how clients in browsers read them: each chunk of the body is one message.

use axum::body::Bytes;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{SinkExt as _, StreamExt as _};
use http::request::Parts;

use super::websocket;

/// Contents of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum StreamKind {
    /// Parts of a log: binary, or base64 text if the client selects that subprotocol.
    Log,
    /// Events of a watch: text.
    Watch,
}

const BINARY_PROTOCOL: &str = "binary.k8s.io";
const BASE64_PROTOCOL: &str = "base64.binary.k8s.io";

/// Returns `response`, or the switch to a WebSocket that carries its body if the client requests an upgrade.
pub(in crate::api) async fn upgrade_if_requested(
    mut parts: Parts,
    response: Response,
    kind: StreamKind,
) -> Response {
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        return response;
    };
    let upgrade = match kind {
        StreamKind::Log => upgrade.protocols([BINARY_PROTOCOL, BASE64_PROTOCOL]),
        StreamKind::Watch => upgrade,
    };
    upgrade.on_upgrade(move |socket| send_body(socket, response, kind))
}

async fn send_body(socket: WebSocket, response: Response, kind: StreamKind) {
    let is_base64 = socket
        .protocol()
        .is_some_and(|protocol| protocol == BASE64_PROTOCOL);
    let (mut to, mut from) = socket.split();
    let mut body = response.into_body().into_data_stream();
    let send = async {
        while let Some(Ok(chunk)) = body.next().await {
            let message = match kind {
                StreamKind::Log if is_base64 => Message::Text(STANDARD.encode(chunk).into()),
                StreamKind::Log => Message::Binary(chunk),
                StreamKind::Watch => text_message(&chunk),
            };
            if to.send(message).await.is_err() {
                return;
            }
        }
        let _ = to.send(websocket::close_message()).await;
    };
    // The client's messages are ignored; reading them detects that the connection has closed.
    let closed = async { while websocket::next_message(&mut from).await.is_some() {} };
    tokio::select! {
        () = send => {}
        () = closed => {}
    }
}

fn text_message(chunk: &Bytes) -> Message {
    Message::Text(String::from_utf8_lossy(chunk).into_owned().into())
}
