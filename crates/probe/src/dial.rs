//! Connections as the kubelet's dialer makes them, with its errors.
//!
//! But for one thing: the kubelet sets `SO_LINGER` to a second, hoping for a shorter TIME-WAIT. On Linux any linger but
//! zero only makes `close` block until the peer has acknowledged; the wire and the minute of TIME-WAIT stay the same
//! (`ss -tano` shows it). A blocking `close` has no place on a runtime's thread, so there is none here.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::outcome::Reason;
use crate::text;

mod connection;
mod names;

pub(crate) use connection::Connection;
use names::Names;

/// Why there is no connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DialError {
    pub(crate) reason: Reason,
    /// The dialer's own text.
    pub(crate) text: String,
}

/// Connects to the first address of `host` that answers, before `deadline`.
pub(crate) async fn dial(
    host: &str,
    port: i32,
    deadline: Instant,
) -> Result<Connection, DialError> {
    dial_by(&Names::of_system(), host, port, deadline).await
}

async fn dial_by(
    names: &Names,
    host: &str,
    port: i32,
    deadline: Instant,
) -> Result<Connection, DialError> {
    let Ok(port) = u16::try_from(port) else {
        return Err(DialError {
            reason: Reason::Other,
            text: format!("dial tcp: address {port}: invalid port"),
        });
    };
    let resolved = tokio::time::timeout_at(deadline, names.resolve(host)).await;
    let addresses = resolved
        .unwrap_or(Err("i/o timeout"))
        .map_err(|why| unresolved(host, why))?;
    let mut first = None;
    for address in addresses {
        match connect(SocketAddr::new(address, port), deadline).await {
            Ok(stream) => return Ok(Connection::new(stream)),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| unresolved(host, "no such host")))
}

fn unresolved(host: &str, why: &str) -> DialError {
    DialError {
        reason: Reason::Dns,
        text: format!("dial tcp: lookup {host}: {why}"),
    }
}

async fn connect(address: SocketAddr, deadline: Instant) -> Result<TcpStream, DialError> {
    match tokio::time::timeout_at(deadline, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(DialError {
            reason: match error.kind() {
                std::io::ErrorKind::ConnectionRefused => Reason::Refused,
                std::io::ErrorKind::TimedOut => Reason::ConnectTimeout,
                _ => Reason::Other,
            },
            text: format!("dial tcp {address}: connect: {}", text::os_error(&error)),
        }),
        Err(_) => Err(DialError {
            reason: Reason::ConnectTimeout,
            text: format!("dial tcp {address}: i/o timeout"),
        }),
    }
}

#[cfg(test)]
mod tests;
