//! One forwarded connection, on two SPDY streams.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::spdy::Stream;
use super::TargetPod;

/// Time for which the client may still send data after the pod has closed its side.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects to the port and copies data until both streams are closed.
pub(super) async fn forward(
    pod: TargetPod,
    port: u16,
    error_stream: Stream,
    mut data_stream: Stream,
) {
    let message = match pod.connect(port).await {
        Ok(connection) => {
            copy_both_ways(connection, &mut data_stream).await;
            String::new()
        }
        Err(message) => message,
    };
    // The client waits for the end of the error stream; an empty one means success.
    let _ = error_stream.output.finish(message.as_bytes()).await;
    if !message.is_empty() {
        let _ = data_stream.output.finish(b"").await;
    }
}

async fn copy_both_ways(connection: TcpStream, data_stream: &mut Stream) {
    let _ = connection.set_nodelay(true);
    let (read, mut write) = connection.into_split();
    let Stream {
        input,
        output,
        reset,
    } = data_stream;
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
            // Not every client closes its side of the stream in turn.
            _ = &mut output => drop(timeout(DRAIN_TIMEOUT, input).await),
        }
    };
    tokio::select! {
        () = both => {}
        // Resolves if the client resets the stream or the session ends.
        _ = reset => {}
    }
}
