//! Limits on what a server may send, enforced before a library trusts its length fields.
//!
//! tokio-postgres allocates as many bytes as a message claims to have, keeps every parameter that a server reports, and
//! computes as many SCRAM iterations as the server requests. [`MessageLimits`] sees every byte first and limits the
//! size of a message, the number of messages, the number of bytes and the number of iterations.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::protocol::{MAX_AUTHENTICATION_LEN, MAX_ERROR_LEN};
use crate::require_auth::PermittedMethods;

/// Maximum number of bytes that a server may send in a session, without rows, which are not kept; a login
/// takes one or two thousand.
const MAX_SESSION_BYTES: usize = 48 * 1024;
/// Maximum number of messages other than rows in a session; a login takes about twenty.
const MAX_SESSION_MESSAGES: usize = 256;
/// Maximum number of iterations of SCRAM's key derivation; PostgreSQL's default is 4,096.
const MAX_SCRAM_ITERATIONS: u32 = 200_000;
/// Code of `AuthenticationSASLContinue`.
const SASL_CONTINUE: [u8; 4] = 11_i32.to_be_bytes();
/// Code of `AuthenticationOk`.
const AUTHENTICATION_OK: i32 = 0;
/// Type of `DataRow`. Rows are not counted, because they are not kept unless they are read.
const DATA_ROW: u8 = b'D';
/// Length of a message header: type and length field.
const HEADER_LEN: usize = 5;

/// A limit that a server exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitExceeded {
    #[error("message of type {0:#04x} with invalid length {1}")]
    MessageLength(u8, i32),
    #[error("more than {MAX_SESSION_BYTES} bytes")]
    SessionBytes,
    #[error("more than {MAX_SESSION_MESSAGES} messages other than rows")]
    SessionMessages,
    #[error("{0} SCRAM iterations, more than {MAX_SCRAM_ITERATIONS}")]
    ScramIterations(u32),
    #[error("require_auth does not permit the server's authentication method {0}")]
    AuthenticationMethod(&'static str),
}

/// Incremental parser of the messages of a server, which may arrive in any fragments.
#[derive(Debug, Default)]
pub(crate) struct MessageLimits {
    header: Vec<u8>,
    /// Bytes of the current message's body that have not arrived yet.
    body_left: usize,
    /// Body of the current message, if it is an authentication request.
    authentication: Vec<u8>,
    bytes: usize,
    messages: usize,
    permitted_methods: PermittedMethods,
    /// `true` after a request for another method than `none`.
    is_authenticating: bool,
}

impl MessageLimits {
    /// Checks the next bytes of a server; fails with the first byte that exceeds a limit.
    pub(crate) fn check(&mut self, mut bytes: &[u8]) -> Result<(), LimitExceeded> {
        while !bytes.is_empty() {
            bytes = if self.body_left > 0 {
                self.read_body(bytes)?
            } else {
                self.read_header(bytes)?
            };
        }
        Ok(())
    }

    fn read_header<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], LimitExceeded> {
        let (fragment, rest) = bytes.split_at(bytes.len().min(HEADER_LEN - self.header.len()));
        self.header.extend_from_slice(fragment);
        if let Some((&kind, length)) = self.header.split_first()
            && let Ok(length) = length.try_into()
        {
            if kind != DATA_ROW {
                self.count_bytes(HEADER_LEN)?;
            }
            self.start_message(kind, i32::from_be_bytes(length))?;
        }
        Ok(rest)
    }

    fn start_message(&mut self, kind: u8, length: i32) -> Result<(), LimitExceeded> {
        let max_length = if kind == b'R' {
            MAX_AUTHENTICATION_LEN
        } else {
            MAX_ERROR_LEN
        };
        self.body_left = usize::try_from(length)
            .ok()
            .filter(|length| (4..=max_length).contains(length))
            .ok_or(LimitExceeded::MessageLength(kind, length))?
            - 4;
        self.messages += usize::from(kind != DATA_ROW);
        if self.messages > MAX_SESSION_MESSAGES {
            return Err(LimitExceeded::SessionMessages);
        }
        self.authentication.clear();
        if self.body_left == 0 {
            self.header.clear();
        }
        Ok(())
    }

    fn read_body<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], LimitExceeded> {
        let (fragment, rest) = bytes.split_at(bytes.len().min(self.body_left));
        if self.header.first() != Some(&DATA_ROW) {
            self.count_bytes(fragment.len())?;
        }
        self.body_left -= fragment.len();
        if self.header.first() == Some(&b'R') {
            self.authentication.extend_from_slice(fragment);
        }
        if self.body_left == 0 {
            self.header.clear();
            self.check_method()?;
            check_scram_iterations(&self.authentication)?;
        }
        Ok(rest)
    }

    /// Rejects a request for a method that is not permitted, before the client replies to it.
    fn check_method(&mut self) -> Result<(), LimitExceeded> {
        let Some(code) = self
            .authentication
            .first_chunk()
            .map(|code| i32::from_be_bytes(*code))
        else {
            return Ok(());
        };
        if code == AUTHENTICATION_OK && self.is_authenticating {
            return Ok(());
        }
        self.is_authenticating = true;
        let rejected = self.permitted_methods.find_rejected(code);
        rejected.map_or(Ok(()), |name| {
            Err(LimitExceeded::AuthenticationMethod(name))
        })
    }

    fn count_bytes(&mut self, count: usize) -> Result<(), LimitExceeded> {
        self.bytes += count;
        if self.bytes > MAX_SESSION_BYTES {
            return Err(LimitExceeded::SessionBytes);
        }
        Ok(())
    }
}

/// Checks the iteration count of a SCRAM challenge, its attribute `i=N`.
fn check_scram_iterations(authentication: &[u8]) -> Result<(), LimitExceeded> {
    let Some(challenge) = authentication.strip_prefix(&SASL_CONTINUE) else {
        return Ok(());
    };
    let iterations = challenge
        .split(|&byte| byte == b',')
        .find_map(|part| part.strip_prefix(b"i="))
        .map_or(0, |digits| {
            // A count that does not parse is invalid or above u32::MAX.
            match std::str::from_utf8(digits).ok().map(str::parse) {
                Some(Ok(iterations)) => iterations,
                _ => u32::MAX,
            }
        });
    if iterations > MAX_SCRAM_ITERATIONS {
        return Err(LimitExceeded::ScramIterations(iterations));
    }
    Ok(())
}

/// A stream that fails with `InvalidData` when the server exceeds a limit, and that is shut down on drop.
#[derive(Debug)]
pub(crate) struct LimitedStream<S: AsyncWrite + Unpin> {
    stream: S,
    limits: MessageLimits,
}

impl<S: AsyncWrite + Unpin> LimitedStream<S> {
    pub(crate) fn new(stream: S, permitted_methods: PermittedMethods) -> Self {
        Self {
            stream,
            limits: MessageLimits {
                permitted_methods,
                ..MessageLimits::default()
            },
        }
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }
}

/// Sends the end of a TLS connection, without which the server logs "unexpected eof while reading", also if a login
/// fails or an attempt is cancelled.
impl<S: AsyncWrite + Unpin> Drop for LimitedStream<S> {
    fn drop(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        // The socket of a connection that ends accepts a few bytes, or the connection is lost.
        let _ = Pin::new(&mut self.stream).poll_shutdown(&mut context);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for LimitedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        match self.limits.check(&buffer.filled()[before..]) {
            Ok(()) => polled,
            Err(error) => {
                let kind = match error {
                    LimitExceeded::AuthenticationMethod(_) => io::ErrorKind::PermissionDenied,
                    _ => io::ErrorKind::InvalidData,
                };
                Poll::Ready(Err(io::Error::new(kind, error)))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LimitedStream<S> {
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
