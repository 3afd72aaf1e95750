//! A socket that remembers how its peer began.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// So many of the first bytes of a peer are remembered: an HTTP/2 frame's head, or the start of a status line.
const HEAD: usize = 9;

/// A probe's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    head: Head,
}

/// The first bytes that a peer sent: they tell what it speaks when the layer above cannot make sense of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Head {
    fn record(&self, bytes: &[u8]) {
        let mut head = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let missing = HEAD - head.len();
        head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
    }

    /// What was received so far, at most the first nine bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            head: Head::default(),
        }
    }

    pub(crate) fn head(&self) -> Head {
        self.head.clone()
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn pinned(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.stream)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = self.pinned().poll_read(context, buffer);
        self.head.record(&buffer.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pinned().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pinned().poll_shutdown(context)
    }
}
