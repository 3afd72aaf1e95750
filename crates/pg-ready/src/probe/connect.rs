//! From a server's name to a stream.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect as _, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Failure, names};
use crate::peer;
use crate::protocol;
use crate::state::State;
use crate::target::Target;
use crate::tls::{Mode, TlsSettings};

/// Anything that goes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {
    /// What of its encryption a password can be bound to.
    fn binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl Duplex for TcpStream {}

impl Duplex for UnixStream {}

impl Duplex for Encrypted {
    fn binding(&self) -> ChannelBinding {
        self.channel_binding()
    }
}

pub(super) type Stream = Box<dyn Duplex>;
/// rustls' stream, which has no name of its own.
type Encrypted = <MakeRustlsConnect as MakeTlsConnect<Stream>>::Stream;

/// Where a server may be.
pub(super) enum Address {
    Ip(SocketAddr),
    Socket(PathBuf),
}

impl Address {
    pub(super) fn is_ip(&self) -> bool {
        matches!(self, Self::Ip(_))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Socket(path) => f.write_str(&path.to_string_lossy().replace('\0', "@")),
        }
    }
}

pub(super) async fn addresses(target: &Target) -> Result<Vec<Address>, Failure> {
    match target {
        Target::Name(host, port) => {
            let mut why = String::new();
            for name in Target::spellings(host) {
                match names::look_up(&name, *port).await {
                    Ok(found) => return Ok(found.into_iter().map(Address::Ip).collect()),
                    Err(error) => why = format!("could not resolve {host:?}: {error}"),
                }
            }
            Err(Failure::new(State::DnsFailure, &why))
        }
        Target::Address(address, port, _) => {
            Ok(vec![Address::Ip(SocketAddr::new(*address, *port))])
        }
        Target::Socket(path) => Ok(vec![Address::Socket(path.clone())]),
        Target::Unusable => Err(Failure::new(
            State::DnsFailure,
            "its address, its port or a setting of its keepalives is none",
        )),
    }
}

/// A connection; over a unix socket to a server that runs as `peer`, if that is asked for.
pub(super) async fn connect(address: &Address, peer: Option<&str>) -> Result<Stream, Failure> {
    let stream: io::Result<Stream> = match address {
        Address::Ip(address) => TcpStream::connect(address)
            .await
            .map(|stream| Box::new(stream) as _),
        Address::Socket(path) => match UnixStream::connect(path).await {
            Ok(stream) if !peer::is_as_required(&stream, peer) => {
                let reason = "the server runs as another user than requirepeer names";
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

/// Asks for TLS; the stream after it, and whether it is encrypted.
///
/// Only the one byte of the answer is read before the handshake: whatever else came in plain text would be an attack.
pub(super) async fn encrypt(
    mut stream: Stream,
    settings: &TlsSettings,
    name: &str,
) -> Result<(Stream, bool), Failure> {
    stream.write_all(&protocol::ssl_request()).await?;
    let answer = stream.read_u8().await?;
    match protocol::offers_tls(answer) {
        Some(true) => {}
        Some(false) if settings.mode <= Mode::Prefer => return Ok((stream, false)),
        Some(false) => return Err(refused("the server does not offer TLS")),
        None => {
            return Err(Failure::new(
                State::Protocol,
                "what answers is no PostgreSQL server",
            ));
        }
    }
    let config = settings
        .client_config()
        .map_err(|error| refused(&error.to_string()))?;
    let Ok(tls) =
        MakeTlsConnect::<Stream>::make_tls_connect(&mut MakeRustlsConnect::new(config), name);
    match tls.connect(stream).await {
        Ok(stream) => Ok((Box::new(stream), true)),
        Err(error) => Err(refused(&error.to_string())),
    }
}

fn refused(why: &str) -> Failure {
    Failure::new(State::TlsRefused, why)
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            UnexpectedEof | ConnectionReset | BrokenPipe => {
                Self::new(State::Closed, "the server closed the connection")
            }
            io::ErrorKind::InvalidData => Self::new(
                State::Protocol,
                &format!("what answers sends what no server should: {error}"),
            ),
            _ => Self::new(State::Unreachable, &error.to_string()),
        }
    }
}
