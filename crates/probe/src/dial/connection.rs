//! A TCP stream that records the first bytes of its peer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Number of recorded bytes: the header of an HTTP/2 frame, or the start of a status line.
const FIRST_BYTES_LEN: usize = 9;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    first_bytes: FirstBytes,
}

/// First bytes received from a peer. They identify its protocol if TLS or HTTP/2 cannot parse them.
#[derive(Clone, Debug, Default)]
pub(crate) struct FirstBytes(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl FirstBytes {
    fn record(&self, bytes: &[u8]) {
        let mut recorded = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let missing = FIRST_BYTES_LEN - recorded.len();
        recorded.extend_from_slice(&bytes[..bytes.len().min(missing)]);
    }

    /// Returns the bytes recorded so far, at most [`FIRST_BYTES_LEN`].
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            first_bytes: FirstBytes::default(),
        }
    }

    pub(crate) fn first_bytes(&self) -> FirstBytes {
        self.first_bytes.clone()
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
        self.first_bytes.record(&buffer.filled()[before..]);
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
