//! A blocking connection with a deadline, encrypted or not.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{SockAddr, Socket, Type};

use crate::protocol::{self, SslReply};
use crate::tls::{Negotiation, TlsSettings};

/// A socket whose reads fail with `TimedOut` after the deadline.
pub(super) struct DeadlineSocket {
    pub(super) socket: Socket,
    deadline: Option<Instant>,
}

impl DeadlineSocket {
    pub(super) fn connect(address: &SockAddr, deadline: Option<Instant>) -> io::Result<Self> {
        let socket = Socket::new(address.domain(), Type::STREAM, None)?;
        match time_left(deadline)? {
            Some(left) => socket.connect_timeout(address, left)?,
            None => socket.connect(address)?,
        }
        if !address.is_unix() {
            // Otherwise the startup packet waits for the acknowledgement of the handshake's last message.
            socket.set_tcp_nodelay(true)?;
        }
        Ok(Self { socket, deadline })
    }
}

impl Read for DeadlineSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(time_left(self.deadline)?)?;
        self.socket
            .read(buffer)
            .map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
                _ => error,
            })
    }
}

impl Write for DeadlineSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Result of a negotiation of TLS.
pub(super) enum Negotiated {
    Encrypted(Box<StreamOwned<ClientConnection, DeadlineSocket>>),
    /// The server does not support TLS; the connection remains usable.
    Rejected(DeadlineSocket),
    /// The reply to `SSLRequest` violates the protocol.
    NotPostgres,
    /// A certificate file is invalid, or the handshake failed.
    Failed,
}

/// Sends `SSLRequest`, unless TLS is started directly, and performs the handshake.
///
/// Reads exactly one byte before the handshake: further plain-text bytes would be injected by an attacker
/// (CVE-2021-23222).
pub(super) fn negotiate_tls(
    mut socket: DeadlineSocket,
    settings: &TlsSettings,
    name: String,
) -> io::Result<Negotiated> {
    if settings.negotiation == Negotiation::Postgres {
        socket.write_all(&protocol::SSL_REQUEST)?;
        let mut reply = [0];
        socket.read_exact(&mut reply)?;
        match protocol::parse_ssl_reply(reply[0]) {
            Some(SslReply::Accepted) => {}
            Some(SslReply::Rejected) => return Ok(Negotiated::Rejected(socket)),
            None => return Ok(Negotiated::NotPostgres),
        }
    }
    let (Ok(config), Ok(name)) = (settings.client_config(), ServerName::try_from(name)) else {
        return Ok(Negotiated::Failed);
    };
    let Ok(mut session) = ClientConnection::new(Arc::new(config), name) else {
        return Ok(Negotiated::Failed);
    };
    while session.is_handshaking() {
        match session.complete_io(&mut socket) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
            Err(_) => return Ok(Negotiated::Failed),
        }
    }
    Ok(Negotiated::Encrypted(Box::new(StreamOwned::new(
        session, socket,
    ))))
}

/// Returns the time until `deadline`, or `TimedOut` if it has passed.
fn time_left(deadline: Option<Instant>) -> io::Result<Option<Duration>> {
    match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
        Some(Duration::ZERO) => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}
