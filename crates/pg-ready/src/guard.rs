//! Holds a server to what a check needs, before a library believes its length fields.
//!
//! tokio-postgres reserves as many bytes as a message claims to have, keeps every parameter that a server reports, and
//! hashes a password as often as the server says. [`Frames`] sees every byte first: messages of a bounded size, a
//! bounded number of them, a bounded sum, a bounded work factor.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::protocol::{MAX_AUTHENTICATION, MAX_ERROR};

/// The most bytes that a server may send in a session; a login takes one or two thousand.
const MAX_TOTAL: usize = 48 * 1024;
/// The most messages besides rows that a server may send in a session; a login takes about twenty.
const MAX_MESSAGES: usize = 256;
/// The most rounds of SCRAM's key derivation; PostgreSQL's default is 4,096.
const MAX_ITERATIONS: u32 = 200_000;
/// `AuthenticationSASLContinue`.
const SASL_CONTINUE: [u8; 4] = 11_i32.to_be_bytes();
/// A row: kept by nobody unless somebody reads it.
const DATA_ROW: u8 = b'D';
/// A message's type and length.
const HEAD: usize = 5;

/// A server that sends what no check needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// A length that no message has.
    #[error("a message of type {0:#04x} and an impossible length of {1} bytes")]
    Length(u8, i32),
    /// All messages together.
    #[error("more than {MAX_TOTAL} bytes")]
    Total,
    /// Their number.
    #[error("more than {MAX_MESSAGES} messages besides rows")]
    Messages,
    /// The work that it asks of us.
    #[error("a password hash of {0} rounds")]
    Iterations(u32),
}

/// Follows the messages of a server through any division of their bytes.
#[derive(Debug, Default)]
pub struct Frames {
    head: Vec<u8>,
    /// What is left of the current message's body.
    left: usize,
    /// The body of an authentication message.
    authentication: Vec<u8>,
    total: usize,
    messages: usize,
}

impl Frames {
    /// Takes the next bytes of a server.
    ///
    /// # Errors
    /// At the first byte that goes too far.
    pub fn accept(&mut self, mut bytes: &[u8]) -> Result<(), TooMuch> {
        while !bytes.is_empty() {
            bytes = if self.left > 0 {
                self.take_body(bytes)?
            } else {
                self.take_head(bytes)?
            };
        }
        Ok(())
    }

    fn take_head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], TooMuch> {
        let (part, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.count(part.len())?;
        self.head.extend_from_slice(part);
        if let Some((&kind, length)) = self.head.split_first()
            && let Ok(length) = length.try_into()
        {
            self.begin(kind, i32::from_be_bytes(length))?;
        }
        Ok(rest)
    }

    fn begin(&mut self, kind: u8, length: i32) -> Result<(), TooMuch> {
        let most = if kind == b'R' {
            MAX_AUTHENTICATION
        } else {
            MAX_ERROR
        };
        self.left = usize::try_from(length)
            .ok()
            .filter(|length| (4..=most).contains(length))
            .ok_or(TooMuch::Length(kind, length))?
            - 4;
        self.messages += usize::from(kind != DATA_ROW);
        if self.messages > MAX_MESSAGES {
            return Err(TooMuch::Messages);
        }
        self.authentication.clear();
        if self.left == 0 {
            self.head.clear();
        }
        Ok(())
    }

    fn take_body<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], TooMuch> {
        let (part, rest) = bytes.split_at(bytes.len().min(self.left));
        self.count(part.len())?;
        self.left -= part.len();
        if self.head.first() == Some(&b'R') {
            self.authentication.extend_from_slice(part);
        }
        if self.left == 0 {
            self.head.clear();
            check_work(&self.authentication)?;
        }
        Ok(rest)
    }

    fn count(&mut self, bytes: usize) -> Result<(), TooMuch> {
        self.total += bytes;
        if self.total > MAX_TOTAL {
            return Err(TooMuch::Total);
        }
        Ok(())
    }
}

/// `…,i=N` of a SCRAM challenge is how often to hash.
fn check_work(authentication: &[u8]) -> Result<(), TooMuch> {
    let Some(challenge) = authentication.strip_prefix(&SASL_CONTINUE) else {
        return Ok(());
    };
    let rounds = challenge
        .split(|&byte| byte == b',')
        .find_map(|part| part.strip_prefix(b"i="))
        .map_or(0, |digits| {
            // What is no number is the library's to refuse; what does not fit is too much.
            match std::str::from_utf8(digits).ok().map(str::parse) {
                Some(Ok(rounds)) => rounds,
                _ => u32::MAX,
            }
        });
    if rounds > MAX_ITERATIONS {
        return Err(TooMuch::Iterations(rounds));
    }
    Ok(())
}

/// A stream whose reading end is held to that.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    stream: S,
    frames: Frames,
}

impl<S> Guarded<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            frames: Frames::default(),
        }
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        match self.frames.accept(&buffer.filled()[before..]) {
            Ok(()) => polled,
            Err(error) => Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error))),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
