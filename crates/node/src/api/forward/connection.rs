//! One connection to a port, on two streams of a session.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{CHUNK, Pod, spdy};

/// What a client may still have to say once the pod has said all.
pub(super) const AFTERWARDS: Duration = Duration::from_secs(1);

/// The stream for what is carried.
pub(super) struct Carried {
    pub(super) stream: u32,
    pub(super) input: mpsc::Receiver<Bytes>,
    pub(super) reset: CancellationToken,
}

/// One connection, from the dialling to the end of both its streams.
pub(super) async fn forward(
    pod: Pod,
    port: u16,
    errors: u32,
    carried: Carried,
    to: mpsc::Sender<Bytes>,
) {
    let (stream, reset) = (carried.stream, carried.reset.clone());
    let message = match pod.connect(port).await {
        Ok(connection) => {
            tokio::select! {
                () = carry(connection, carried, &to) => {}
                () = reset.cancelled() => {}
            }
            String::new()
        }
        Err(message) => message,
    };
    // A client takes an empty stream for errors as a good end, and waits for it.
    let _ = to.send(spdy::data(errors, true, message.as_bytes())).await;
    if !message.is_empty() {
        let _ = to.send(spdy::data(stream, true, b"")).await;
    }
}

async fn carry(connection: TcpStream, mut carried: Carried, to: &mpsc::Sender<Bytes>) {
    let _ = connection.set_nodelay(true);
    let (read, mut write) = connection.into_split();
    let input = async {
        while let Some(bytes) = carried.input.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = write.shutdown().await;
    };
    let output = output(read, carried.stream, to);
    tokio::pin!(input, output);
    tokio::select! {
        () = &mut input => output.await,
        () = &mut output => {
            // Not every client ends a stream of which it has seen the end.
            let _ = timeout(AFTERWARDS, input).await;
        }
    }
}

async fn output(mut read: OwnedReadHalf, stream: u32, to: &mpsc::Sender<Bytes>) {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    while let Ok(1..) = read.read_buf(&mut buffer).await {
        if to.send(spdy::data(stream, false, &buffer)).await.is_err() {
            return;
        }
        buffer.clear();
    }
    let _ = to.send(spdy::data(stream, true, b"")).await;
}
