//! The check that is compatible with PostgreSQL's `pg_isready`.
//!
//! libpq tries TLS first; this check does not need to: a server that requires TLS rejects the startup packet with an
//! `ErrorResponse`, and any `ErrorResponse` proves that the server is up (`PQPING_OK`). If the settings demand TLS, use
//! [`crate::check()`].
//!
//! Uses neither an async runtime nor threads: it is executed every few seconds as an exec probe and must start fast.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket, Type};

use crate::ping_status::PingStatus;
use crate::protocol::{self, MAX_MESSAGE_LEN, StartupReply};
use crate::request::Request;
use crate::require_peer::peer_matches;
use crate::target::{Plan, Target};

/// Checks the servers of `request` in turn, as libpq's `PQping` does.
///
/// The first server decides that accepts connections, or that does not speak PostgreSQL's protocol; servers that are
/// starting, stopping or unreachable are passed over. The request's timeout applies to each address (`None`: no
/// timeout); its checks, passwords and TLS settings are not used. Blocks the calling thread.
#[must_use]
pub fn pg_isready(request: &Request) -> PingStatus {
    let plan = &request.plan;
    let mut status = PingStatus::NoResponse;
    for address in plan.targets.iter().flat_map(resolve) {
        match exchange_startup(&address, plan, request.timeout) {
            Ok(StartupReply::Accepting) => return PingStatus::Ok,
            Ok(StartupReply::Rejecting) => status = PingStatus::Reject,
            // libpq stops at a server that violates the protocol.
            Ok(StartupReply::NotPostgres | StartupReply::Incomplete) => {
                return PingStatus::NoResponse;
            }
            Err(_) => status = PingStatus::NoResponse,
        }
    }
    status
}

fn resolve(target: &Target) -> Vec<SockAddr> {
    let to_vec = |found: io::Result<std::vec::IntoIter<SocketAddr>>| -> Vec<SockAddr> {
        found.into_iter().flatten().map(SockAddr::from).collect()
    };
    match target {
        // Parsed here because getaddrinfo reads its configuration files even for a numeric address.
        Target::Name(host, port) => match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, *port).into()],
            Err(_) => Target::name_variants(host)
                .map(|name| to_vec((name.as_str(), *port).to_socket_addrs()))
                .find(|found| !found.is_empty())
                .unwrap_or_default(),
        },
        Target::Address(address, port, _) => vec![SocketAddr::new(*address, *port).into()],
        Target::Socket(path) => SockAddr::unix(path).into_iter().collect(),
        Target::Invalid => Vec::new(),
    }
}

/// Sends the startup packet and reads until the reply is complete.
fn exchange_startup(
    address: &SockAddr,
    plan: &Plan,
    timeout: Option<Duration>,
) -> io::Result<StartupReply> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut socket = connect(address, deadline)?;
    if address.is_unix() && !peer_matches(&socket, plan.required_peer.as_deref()) {
        return Ok(StartupReply::NotPostgres);
    }
    socket.write_all(&protocol::encode_startup_packet(
        &plan.user,
        &plan.database,
        &plan.application_name,
    ))?;
    let mut received = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    loop {
        let count = read(&mut socket, &mut chunk, deadline)?;
        received.extend_from_slice(&chunk[..count]);
        match protocol::parse_startup_reply(&received) {
            StartupReply::Incomplete if received.len() < MAX_MESSAGE_LEN => {}
            StartupReply::Incomplete => return Ok(StartupReply::NotPostgres),
            reply => {
                if protocol::is_authentication_ok(&received) {
                    // Otherwise the server logs "unexpected EOF on client connection".
                    let _ = socket.write_all(&protocol::TERMINATE);
                }
                return Ok(reply);
            }
        }
    }
}

fn connect(address: &SockAddr, deadline: Option<Instant>) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    match time_left(deadline)? {
        Some(left) => socket.connect_timeout(address, left)?,
        None => socket.connect(address)?,
    }
    Ok(socket)
}

fn read(socket: &mut Socket, chunk: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
    socket.set_read_timeout(time_left(deadline)?)?;
    match socket.read(chunk)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => Ok(count),
    }
}

/// Returns the time until `deadline`, or `TimedOut` if it has passed.
fn time_left(deadline: Option<Instant>) -> io::Result<Option<Duration>> {
    match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
        Some(Duration::ZERO) => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}
