//! SPDY within a WebSocket: its bytes in binary messages, cut anywhere.

use axum::extract::ws::{Message, WebSocket};
use bytes::BytesMut;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::task::AbortOnDropHandle;

use super::super::messages;
use super::{CHUNK, Pod, forward_over};

pub(super) async fn serve(socket: WebSocket, pod: Pod) {
    let (mut outgoing, mut incoming) = socket.split();
    let (near, far) = tokio::io::duplex(CHUNK);
    let (mut from_session, mut to_session) = tokio::io::split(near);
    let _receiving = AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(bytes) = messages::next(&mut incoming).await {
            if to_session.write_all(&bytes).await.is_err() {
                return;
            }
        }
        // The session ends with its input.
        let _ = to_session.shutdown().await;
    }));
    let sending = async move {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        while let Ok(1..) = from_session.read_buf(&mut buffer).await {
            let message = Message::Binary(buffer.split().freeze());
            if outgoing.send(message).await.is_err() {
                return;
            }
        }
        let _ = outgoing.send(Message::Close(None)).await;
    };
    tokio::join!(forward_over(far, pod), sending);
}
