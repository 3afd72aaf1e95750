//! SPDY tunnelled through a WebSocket. Binary messages carry the byte stream; message boundaries have no meaning.

use axum::extract::ws::{Message, WebSocket};
use bytes::BytesMut;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::task::AbortOnDropHandle;

use super::super::{CHUNK_LEN, websocket};
use super::{TargetPod, serve_spdy};

pub(super) async fn serve(socket: WebSocket, pod: TargetPod) {
    let (mut outgoing, mut incoming) = socket.split();
    let (tunnel_side, session_side) = tokio::io::duplex(CHUNK_LEN);
    let (mut from_session, mut to_session) = tokio::io::split(tunnel_side);
    let _receiving = AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(bytes) = websocket::next_message(&mut incoming).await {
            if to_session.write_all(&bytes).await.is_err() {
                return;
            }
        }
        // The SPDY session ends at the end of its input.
        let _ = to_session.shutdown().await;
    }));
    let sending = async move {
        let mut buffer = BytesMut::with_capacity(CHUNK_LEN);
        while let Ok(1..) = from_session.read_buf(&mut buffer).await {
            let message = Message::Binary(buffer.split().freeze());
            if outgoing.send(message).await.is_err() {
                return;
            }
        }
        let _ = outgoing.send(Message::Close(None)).await;
    };
    tokio::join!(serve_spdy(session_side, pod), sending);
}
