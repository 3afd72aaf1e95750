//! Connections as the kubelet's dialer makes them, with its errors.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::outcome::Reason;
use crate::text;

mod connection;

pub(crate) use connection::Connection;

/// So long a closed socket may linger; thousands of probes a minute must not pile up in TIME-WAIT.
const LINGER: Duration = Duration::from_secs(1);

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
    let Ok(port) = u16::try_from(port) else {
        return Err(DialError {
            reason: Reason::Other,
            text: format!("dial tcp: address {port}: invalid port"),
        });
    };
    let found = tokio::time::timeout_at(deadline, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) => Vec::new(),
        Err(_) => return Err(unresolved(host, "i/o timeout")),
    };
    let mut first = None;
    for address in addresses {
        match connect(address, deadline).await {
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
        Ok(Ok(stream)) => {
            if let Err(error) = socket2::SockRef::from(&stream).set_linger(Some(LINGER)) {
                tracing::debug!(%address, %error, "a probe's socket keeps its default linger");
            }
            Ok(stream)
        }
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
