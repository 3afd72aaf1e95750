//! TCP connections as the kubelet's dialer makes them, with its error texts.
//!
//! One option differs: the kubelet sets `SO_LINGER` to one second to shorten TIME-WAIT. On Linux a linger time other than
//! zero only makes `close` block until the peer has acknowledged; the packets and the minute of TIME-WAIT stay the same
//! (`ss -tano` shows it). A blocking `close` must not run on a thread of the runtime, so the option is not set.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::go_format;
use crate::outcome::Reason;

mod connection;
mod resolver;

pub(crate) use connection::Connection;
use resolver::HostResolver;

/// A connection that could not be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DialError {
    pub(crate) reason: Reason,
    /// Text of Go's dialer.
    pub(crate) text: String,
}

/// Connects to the first address of `host` that accepts a connection before `deadline`.
pub(crate) async fn dial(
    host: &str,
    port: i32,
    deadline: Instant,
) -> Result<Connection, DialError> {
    dial_with(&HostResolver::system(), host, port, deadline).await
}

async fn dial_with(
    resolver: &HostResolver,
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
    let resolved = tokio::time::timeout_at(deadline, resolver.resolve(host)).await;
    let addresses = resolved
        .unwrap_or(Err("i/o timeout"))
        .map_err(|cause| lookup_error(host, cause))?;
    let mut first = None;
    for address in addresses {
        match connect(SocketAddr::new(address, port), deadline).await {
            Ok(stream) => return Ok(Connection::new(stream)),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| lookup_error(host, "no such host")))
}

fn lookup_error(host: &str, cause: &str) -> DialError {
    DialError {
        reason: Reason::Dns,
        text: format!("dial tcp: lookup {host}: {cause}"),
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
            text: format!(
                "dial tcp {address}: connect: {}",
                go_format::os_error(&error)
            ),
        }),
        Err(_) => Err(DialError {
            reason: Reason::ConnectTimeout,
            text: format!("dial tcp {address}: i/o timeout"),
        }),
    }
}

#[cfg(test)]
mod tests;
