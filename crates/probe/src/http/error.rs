//! Errors of requests, with the texts of Go's HTTP client.

use std::io;

use tokio::io::AsyncRead;

use crate::dial::{Connection, DialError};
use crate::go_format;
use crate::outcome::Reason;

/// Text if the timeout passes before the headers of a response.
pub(super) const HEADER_TIMEOUT: &str =
    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";

/// Text if the timeout passes before the end of the body.
pub(super) const BODY_TIMEOUT: &str =
    "context deadline exceeded (Client.Timeout or context cancellation while reading body)";

/// A failed request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HttpError {
    pub(super) reason: Reason,
    pub(super) text: String,
}

impl HttpError {
    pub(super) fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self {
            reason,
            text: text.into(),
        }
    }

    /// Creates an error of a peer that violates the protocol.
    pub(super) fn protocol(text: impl Into<String>) -> Self {
        Self::new(Reason::Protocol, text)
    }

    /// Creates an error of a response whose headers are malformed or incomplete.
    pub(super) fn broken_connection(text: &str) -> Self {
        Self::protocol(format!(
            "net/http: HTTP/1.x transport connection broken: {text}"
        ))
    }

    /// Creates an error of a read or write. `endpoints` is an [`endpoints_label`].
    pub(super) fn io(error: &io::Error, operation: &str, endpoints: &str) -> Self {
        Self::protocol(io_error_text(error, operation, endpoints))
    }
}

impl From<DialError> for HttpError {
    fn from(error: DialError) -> Self {
        Self::new(error.reason, error.text)
    }
}

/// Formats `read tcp 127.0.0.1:4001->127.0.0.1:80: read: connection reset by peer`.
pub(super) fn io_error_text(error: &io::Error, operation: &str, endpoints: &str) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "unexpected EOF".to_owned();
    }
    format!(
        "{operation} tcp {endpoints}: {operation}: {}",
        go_format::os_error(error)
    )
}

/// Formats the addresses of a connection as Go prints them: `LOCAL->PEER`.
pub(super) fn endpoints_label(connection: &Connection) -> String {
    let stream = connection.stream();
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) => format!("{local}->{peer}"),
        _ => "connection".to_owned(),
    }
}

/// A connection with or without TLS.
pub(super) trait Stream: AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}
