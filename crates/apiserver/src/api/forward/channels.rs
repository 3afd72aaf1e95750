//! Ports over a WebSocket's channels, two for each: what goes to and comes from it, and what went wrong with it. The first
//! message of each channel is its port, in two bytes of which the low one is first.

use axum::extract::ws::{Message, WebSocket};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::messages;
use super::{CHUNK, Pod};

pub(super) async fn serve(socket: WebSocket, pod: Pod, ports: Vec<u16>) {
    let (mut outgoing, mut incoming) = socket.split();
    let (sender, mut outbox) = mpsc::channel::<Message>(16);
    let mut connections = JoinSet::new();
    let mut inputs = Vec::with_capacity(ports.len());
    for (at, port) in (0_u8..).step_by(2).zip(ports) {
        let (input, bytes) = mpsc::channel(16);
        inputs.push(input);
        connections.spawn(forward(pod.clone(), port, at, bytes, sender.clone()));
    }
    drop(sender);
    let receiving = async {
        while let Some(bytes) = messages::next(&mut incoming).await {
            // What is sent on a channel for errors, or of no port, is for nobody.
            let channel = bytes.first().filter(|channel| *channel % 2 == 0);
            let input = channel.and_then(|channel| inputs.get(usize::from(channel / 2)));
            if let Some(input) = input {
                let _ = input.send(bytes.slice(1..)).await;
            }
        }
    };
    let sending = async {
        while let Some(message) = outbox.recv().await {
            if outgoing.send(message).await.is_err() {
                return;
            }
        }
    };
    // It is over when the client has closed, whatever the ports still have to say, or when they have all ended.
    tokio::select! {
        () = receiving => {}
        () = sending => {}
    }
    let _ = outgoing.close().await;
}

/// Carries one connection until its port ends it: a channel cannot be ended by itself.
async fn forward(
    pod: Pod,
    port: u16,
    channel: u8,
    mut input: mpsc::Receiver<Bytes>,
    to: mpsc::Sender<Message>,
) {
    for channel in [channel, channel + 1] {
        if to.send(framed(channel, &port.to_le_bytes())).await.is_err() {
            return;
        }
    }
    let stream = match pod.connect(port).await {
        Ok(stream) => stream,
        Err(message) => {
            let _ = to.send(framed(channel + 1, message.as_bytes())).await;
            return;
        }
    };
    let (read, mut write) = stream.into_split();
    let input = async move {
        while let Some(bytes) = input.recv().await {
            if write.write_all(&bytes).await.is_err() {
                break;
            }
        }
        // A port that takes no more may still have something to say.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = input => {}
        () = output(read, channel, &to) => {}
    }
}

async fn output(mut read: OwnedReadHalf, channel: u8, to: &mpsc::Sender<Message>) {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    while let Ok(1..) = read.read_buf(&mut buffer).await {
        if to.send(framed(channel, &buffer.split())).await.is_err() {
            return;
        }
        buffer.reserve(CHUNK);
    }
}

fn framed(channel: u8, data: &[u8]) -> Message {
    let mut bytes = BytesMut::with_capacity(1 + data.len());
    bytes.put_u8(channel);
    bytes.put_slice(data);
    Message::Binary(bytes.freeze())
}
