//! One connection to a port, on two streams of a client.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::spdy::Stream;
use super::Pod;

/// What a client may still have to say once the pod has said all.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// One connection, from the dialling to the end of both its streams.
pub(super) async fn forward(pod: Pod, port: u16, errors: Stream, mut carried: Stream) {
    let message = match pod.connect(port).await {
        Ok(connection) => {
            carry(connection, &mut carried).await;
            String::new()
        }
        Err(message) => message,
    };
    // A client takes an empty stream for errors as a good end, and waits for it.
    let _ = errors.output.end(message.as_bytes()).await;
    if !message.is_empty() {
        let _ = carried.output.end(b"").await;
    }
}

async fn carry(connection: TcpStream, carried: &mut Stream) {
    let _ = connection.set_nodelay(true);
    let (read, mut write) = connection.into_split();
    let Stream {
        input,
        output,
        reset,
    } = carried;
    let input = async {
        while let Some(bytes) = input.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = write.shutdown().await;
    };
    let both = async {
        let output = output.copy(read);
        tokio::pin!(input, output);
        tokio::select! {
            () = &mut input => drop(output.await),
            // Not every client ends a stream of which it has seen the end.
            _ = &mut output => drop(timeout(AFTERWARDS, input).await),
        }
    };
    tokio::select! {
        () = both => {}
        // Or the session is no more, which ends this anyway.
        _ = reset => {}
    }
}
