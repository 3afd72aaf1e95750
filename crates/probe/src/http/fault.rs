//! Why a request came to nothing, in the words of Go's HTTP client.

use std::io;

use tokio::io::AsyncRead;

use crate::dial::{Connection, DialError};
use crate::outcome::Reason;
use crate::text;

/// The attempt's time was up before the head of a response was there.
pub(super) const NO_HEAD_IN_TIME: &str =
    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";

/// The attempt's time was up while the body came.
pub(super) const NO_BODY_IN_TIME: &str =
    "context deadline exceeded (Client.Timeout or context cancellation while reading body)";

/// A failed request: the reason for machines, the text for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) text: String,
}

impl Fault {
    pub(super) fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self {
            reason,
            text: text.into(),
        }
    }

    /// The peer does not speak the protocol.
    pub(super) fn protocol(text: impl Into<String>) -> Self {
        Self::new(Reason::Protocol, text)
    }

    /// The peer broke off in the middle of a response's head.
    pub(super) fn broken(text: &str) -> Self {
        Self::protocol(format!(
            "net/http: HTTP/1.x transport connection broken: {text}"
        ))
    }

    /// Reading or writing failed; `route` names the two ends.
    pub(super) fn io(error: &io::Error, operation: &str, route: &str) -> Self {
        Self::protocol(io_text(error, operation, route))
    }
}

impl From<DialError> for Fault {
    fn from(error: DialError) -> Self {
        Self::new(error.reason, error.text)
    }
}

/// `read tcp 127.0.0.1:4001->127.0.0.1:80: read: connection reset by peer`.
pub(super) fn io_text(error: &io::Error, operation: &str, route: &str) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "unexpected EOF".to_owned();
    }
    format!(
        "{operation} tcp {route}: {operation}: {}",
        text::os_error(error)
    )
}

/// The two ends of a connection.
pub(super) fn route(connection: &Connection) -> String {
    let stream = connection.stream();
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) => format!("{local}->{peer}"),
        _ => "connection".to_owned(),
    }
}

/// What an HTTP/1.1 exchange needs of a connection, with or without TLS.
pub(super) trait Stream: AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}
