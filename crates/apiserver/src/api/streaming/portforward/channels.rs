//! Port forwarding over channels of a WebSocket. Each port has two: one for data and one for errors. The first message of a
//! channel is its port as two bytes in little-endian order.

use axum::extract::ws::{Message, WebSocket};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::{CHUNK_LEN, websocket};
use super::TargetPod;

pub(super) async fn serve(socket: WebSocket, pod: TargetPod, ports: Vec<u16>) {
    let (mut outgoing, mut incoming) = socket.split();
    let (sender, mut outbox) = mpsc::channel::<Message>(16);
    let mut connections = JoinSet::new();
    let mut inputs = Vec::with_capacity(ports.len());
    for (channel, port) in (0_u8..).step_by(2).zip(ports) {
        let (input, bytes) = mpsc::channel(16);
        inputs.push(input);
        connections.spawn(forward(pod.clone(), port, channel, bytes, sender.clone()));
    }
    drop(sender);
    let receiving = async {
        while let Some(bytes) = websocket::next_message(&mut incoming).await {
            // Messages on error channels and on channels without a port are ignored.
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
    // The session ends when the client closes it, even if ports still send data, or when all ports have closed.
    tokio::select! {
        () = receiving => {}
        () = sending => {}
    }
    let _ = outgoing.close().await;
}

/// Forwards one connection until the pod closes it. The client cannot close a single channel.
async fn forward(
    pod: TargetPod,
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
        // A pod that reads no more input may still send data.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = input => {}
        () = copy_output(read, channel, &to) => {}
    }
}

async fn copy_output(mut read: OwnedReadHalf, channel: u8, to: &mpsc::Sender<Message>) {
    let mut buffer = BytesMut::with_capacity(CHUNK_LEN);
    while let Ok(1..) = read.read_buf(&mut buffer).await {
        if to.send(framed(channel, &buffer.split())).await.is_err() {
            return;
        }
        buffer.reserve(CHUNK_LEN);
    }
}

fn framed(channel: u8, data: &[u8]) -> Message {
    let mut bytes = BytesMut::with_capacity(1 + data.len());
    bytes.put_u8(channel);
    bytes.put_slice(data);
    Message::Binary(bytes.freeze())
}
