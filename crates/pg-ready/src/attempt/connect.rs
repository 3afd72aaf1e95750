//! Resolves a server's name, connects to it, and negotiates TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect as _, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Failure, resolver};
use crate::protocol::{self, SslReply};
use crate::require_peer::peer_matches;
use crate::state::State;
use crate::target::Target;
use crate::tls::{Mode, Negotiation, TlsSettings};

/// A connection to a server, encrypted or not.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {
    /// Channel binding data for SCRAM; none without TLS.
    fn binding_data(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl Duplex for TcpStream {}

impl Duplex for UnixStream {}

impl Duplex for RustlsStream {
    fn binding_data(&self) -> ChannelBinding {
        self.channel_binding()
    }
}

pub(super) type Stream = Box<dyn Duplex>;
/// The stream type of `tokio_postgres_rustls`, which that crate does not export by name.
type RustlsStream = <MakeRustlsConnect as MakeTlsConnect<Stream>>::Stream;

/// An address to connect to.
pub(super) enum Address {
    Ip(SocketAddr),
    Socket(PathBuf),
}

impl Address {
    pub(super) fn is_ip(&self) -> bool {
        matches!(self, Self::Ip(_))
    }
}

/// Shows an abstract socket with `@`, as libpq writes it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Socket(path) => f.write_str(&path.to_string_lossy().replace('\0', "@")),
        }
    }
}

pub(super) async fn resolve(target: &Target) -> Result<Vec<Address>, Failure> {
    match target {
        Target::Name(host, port) => {
            let mut reason = String::new();
            for name in Target::name_variants(host) {
                match resolver::look_up(&name, *port).await {
                    Ok(found) => return Ok(found.into_iter().map(Address::Ip).collect()),
                    Err(error) => reason = format!("could not resolve {host:?}: {error}"),
                }
            }
            Err(Failure::new(State::DnsFailure, &reason))
        }
        Target::Address(address, port, _) => {
            Ok(vec![Address::Ip(SocketAddr::new(*address, *port))])
        }
        Target::Socket(path) => Ok(vec![Address::Socket(path.clone())]),
        Target::Invalid { reason, .. } => Err(Failure::new(State::InvalidServer, reason)),
    }
}

/// Connects to `address`; a server at a Unix-domain socket has to run as `required_peer`, if that is set.
pub(super) async fn connect(
    address: &Address,
    required_peer: Option<&str>,
) -> Result<Stream, Failure> {
    let stream: io::Result<Stream> = match address {
        Address::Ip(address) => TcpStream::connect(address).await.and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as _)
        }),
        Address::Socket(path) => match UnixStream::connect(path).await {
            Ok(stream) if !peer_matches(&stream, required_peer) => {
                let reason = "the server does not run as the user that requirepeer requires";
                return Err(Failure::new(State::Protocol, reason));
            }
            connected => connected.map(|stream| Box::new(stream) as _),
        },
    };
    stream.map_err(|error| {
        let state = match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => State::Refused,
            io::ErrorKind::TimedOut => State::Timeout,
            _ => State::Unreachable,
        };
        Failure::new(state, &error.to_string())
    })
}

/// Sends `SSLRequest` and performs the TLS handshake; returns the stream, and `true` if it is encrypted.
///
/// Reads exactly one byte before the handshake: further plain-text bytes would be injected by an attacker
/// (CVE-2021-23222).
pub(super) async fn negotiate_tls(
    mut stream: Stream,
    settings: &TlsSettings,
    name: &str,
) -> Result<(Stream, bool), Failure> {
    if settings.negotiation == Negotiation::Postgres {
        stream.write_all(&protocol::SSL_REQUEST).await?;
        let reply = stream.read_u8().await?;
        match protocol::parse_ssl_reply(reply) {
            Some(SslReply::Accepted) => {}
            Some(SslReply::Rejected) if settings.mode <= Mode::Prefer => {
                return Ok((stream, false));
            }
            Some(SslReply::Rejected) => return Err(tls_failed("the server does not support TLS")),
            None => return Err(not_postgres()),
        }
    }
    let config = settings
        .client_config()
        .map_err(|error| tls_failed(&error.to_string()))?;
    let Ok(tls) =
        MakeTlsConnect::<Stream>::make_tls_connect(&mut MakeRustlsConnect::new(config), name);
    match tls.connect(stream).await {
        Ok(stream) => Ok((Box::new(stream), true)),
        Err(error) => Err(tls_failed(&error.to_string())),
    }
}

fn tls_failed(reason: &str) -> Failure {
    Failure::new(State::TlsFailed, reason)
}

pub(super) fn not_postgres() -> Failure {
    Failure::new(State::Protocol, "the peer is not a PostgreSQL server")
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            UnexpectedEof | ConnectionReset | BrokenPipe => {
                Self::new(State::Closed, "the server closed the connection")
            }
            io::ErrorKind::PermissionDenied => Self::new(State::NotPermitted, &error.to_string()),
            io::ErrorKind::InvalidData => Self::new(
                State::Protocol,
                &format!("protocol violation by the server: {error}"),
            ),
            _ => Self::new(State::Unreachable, &error.to_string()),
        }
    }
}
