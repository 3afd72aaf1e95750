//! The service's connections: so many at a time, and none that is silent for long.

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

/// So many at a time; further ones wait in the kernel's backlog. A kubelet and a balancer of a mesh need a few.
pub const CONNECTIONS: usize = 64;
/// A client that is there answers a ping every thirty seconds. One that has yet to say that it speaks HTTP/2 is not pinged.
const QUIET: Duration = Duration::from_secs(90);
/// How long a client may take to accept the next piece of an answer.
const WRITE: Duration = Duration::from_secs(30);
/// Before the next try, when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(50);

/// The connections of a listener, as slots for them are free.
pub(super) fn accepted(
    listener: TcpListener,
) -> impl Stream<Item = io::Result<Connection<TcpStream>>> {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    stream::unfold((listener, slots), |(listener, slots)| async move {
        // The semaphore is never closed.
        let slot = slots.clone().acquire_owned().await.ok()?;
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    sleep(PAUSE).await;
                }
            }
        };
        Some((Ok(Connection::new(stream, slot)), (listener, slots)))
    })
}

/// A connection and its slot.
pub(super) struct Connection<S> {
    stream: Pin<Box<TimeoutStream<S>>>,
    _slot: OwnedSemaphorePermit,
}

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    fn new(stream: S, slot: OwnedSemaphorePermit) -> Self {
        let mut stream = TimeoutStream::new(stream);
        stream.set_read_timeout(Some(QUIET));
        stream.set_write_timeout(Some(WRITE));
        Self {
            stream: Box::pin(stream),
            _slot: slot,
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
    async fn who_is_silent_for_too_long_is_let_go() {
        let slots = Arc::new(Semaphore::new(1));
        let slot = slots.clone().acquire_owned().await.unwrap();
        let (mut client, server) = tokio::io::duplex(64);
        let mut connection = Connection::new(server, slot);
        for _ in 0..3 {
            sleep(QUIET / 2).await;
            client.write_all(b"x").await.unwrap();
            assert_eq!(connection.read_u8().await.unwrap(), b'x');
        }
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(slots.available_permits(), 0);
        drop(connection);
        assert_eq!(slots.available_permits(), 1);
    }
}
