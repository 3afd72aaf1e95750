//! Answers that go on, a log or a watch, over a WebSocket, which is how clients in browsers take them: a message a piece.

use axum::body::Bytes;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{SinkExt as _, StreamExt as _};
use http::request::Parts;

use super::messages;

/// What a message is, by the subprotocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pieces {
    /// A part of a log: bytes, unless the client asks for text.
    OfLog,
    /// An event of a watch: text.
    OfWatch,
}

const BYTES: &str = "binary.k8s.io";
const TEXT: &str = "base64.binary.k8s.io";

/// The answer, or the switch to a WebSocket that carries its body, where that is asked for.
pub(super) async fn answer(mut parts: Parts, response: Response, pieces: Pieces) -> Response {
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        return response;
    };
    let upgrade = match pieces {
        Pieces::OfLog => upgrade.protocols([BYTES, TEXT]),
        Pieces::OfWatch => upgrade,
    };
    upgrade.on_upgrade(move |socket| carry(socket, response, pieces))
}

async fn carry(socket: WebSocket, response: Response, pieces: Pieces) {
    let as_text = socket.protocol().is_some_and(|protocol| protocol == TEXT);
    let (mut to, mut from) = socket.split();
    let mut body = response.into_body().into_data_stream();
    let tell = async {
        while let Some(Ok(piece)) = body.next().await {
            if to.send(message(pieces, as_text, piece)).await.is_err() {
                return;
            }
        }
        let _ = to.send(messages::end()).await;
    };
    // What a client says on such a socket is that it has gone.
    let gone = async { while messages::next(&mut from).await.is_some() {} };
    tokio::select! {
        () = tell => {}
        () = gone => {}
    }
}

fn message(pieces: Pieces, as_text: bool, piece: Bytes) -> Message {
    match pieces {
        Pieces::OfLog if as_text => Message::Text(STANDARD.encode(piece).into()),
        Pieces::OfLog => Message::Binary(piece),
        Pieces::OfWatch => Message::Text(String::from_utf8_lossy(&piece).into_owned().into()),
    }
}
