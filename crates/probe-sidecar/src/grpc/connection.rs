//! Connections of the gRPC service, limited in number and idle time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{self, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_io_timeout::TimeoutStream;
use tonic::transport::server::Connected;

/// Maximum number of connections; further ones wait in the backlog of the kernel. A kubelet and a service mesh need a few.
pub const MAX_CONNECTIONS: usize = 64;
/// Maximum time between reads. A client answers a ping every 30 s; before the HTTP/2 preface there are no pings.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// Timeout of a write to a client.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Delay before the next accept after an error, such as a lack of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Accepts connections while there are free permits.
pub(super) fn accept(
    listener: TcpListener,
) -> impl Stream<Item = io::Result<Connection<TcpStream>>> {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    stream::unfold((listener, permits), |(listener, permits)| async move {
        // The semaphore is never closed.
        let permit = permits.clone().acquire_owned().await.ok()?;
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a gRPC connection");
                    sleep(ACCEPT_BACKOFF).await;
                }
            }
        };
        Some((Ok(Connection::new(stream, permit)), (listener, permits)))
    })
}

/// A connection with its permit.
pub(super) struct Connection<S> {
    stream: Pin<Box<TimeoutStream<S>>>,
    _permit: OwnedSemaphorePermit,
}

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    fn new(stream: S, permit: OwnedSemaphorePermit) -> Self {
        let mut stream = TimeoutStream::new(stream);
        stream.set_read_timeout(Some(IDLE_TIMEOUT));
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        Self {
            stream: Box::pin(stream),
            _permit: permit,
        }
    }
}

impl<S> Connected for Connection<S> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<S: AsyncRead + AsyncWrite> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_connection_is_closed_after_the_timeout() {
        let permits = Arc::new(Semaphore::new(1));
        let permit = permits.clone().acquire_owned().await.unwrap();
        let (mut client, server) = tokio::io::duplex(64);
        let mut connection = Connection::new(server, permit);
        for _ in 0..3 {
            sleep(IDLE_TIMEOUT / 2).await;
            client.write_all(b"x").await.unwrap();
            assert_eq!(connection.read_u8().await.unwrap(), b'x');
        }
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(permits.available_permits(), 0);
        drop(connection);
        assert_eq!(permits.available_permits(), 1);
    }
}
