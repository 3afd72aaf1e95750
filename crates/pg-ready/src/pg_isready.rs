//! The check that is compatible with PostgreSQL's `pg_isready`.
//!
//! Uses neither an async runtime nor threads: it is executed every few seconds as an exec probe and must start fast.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::Instant;

use socket2::SockAddr;

use crate::ping_status::PingStatus;
use crate::protocol::{self, MAX_MESSAGE_LEN, StartupReply};
use crate::request::Request;
use crate::require_peer::peer_matches;
use crate::target::{Plan, Target};
use crate::tls::Mode;

mod connection;

use connection::{DeadlineSocket, Negotiated, negotiate_tls};

/// Checks the servers of `request` in turn, as libpq's `PQping` does.
///
/// The first server decides that accepts connections, or that does not speak PostgreSQL's protocol; servers that are
/// starting, stopping or unreachable are passed over. The request's timeout applies to each address (`None`: no
/// timeout); its checks and passwords are not used. Blocks the calling thread.
#[must_use]
pub fn pg_isready(request: &Request) -> PingStatus {
    let plan = &request.plan;
    let mut status = PingStatus::NoResponse;
    let addresses = plan.ordered_targets().into_iter().flat_map(|target| {
        let found = resolve(target).into_iter();
        found.map(move |address| (target, address))
    });
    for (target, address) in addresses {
        match check_address(&address, target, request) {
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
        Target::Invalid { .. } => Vec::new(),
    }
}

/// Checks the server at `address`, as libpq does with `sslmode`: with TLS where the server supports it, so that a server
/// that requires it has no reason to log an error.
fn check_address(
    address: &SockAddr,
    target: &Target,
    request: &Request,
) -> io::Result<StartupReply> {
    let (plan, tls) = (&request.plan, &request.tls);
    let deadline = request.timeout.map(|timeout| Instant::now() + timeout);
    let mut socket = DeadlineSocket::connect(address, deadline)?;
    if address.is_unix() && !peer_matches(&socket.socket, plan.required_peer.as_deref()) {
        return Ok(StartupReply::NotPostgres);
    }
    if address.is_unix() || tls.mode <= Mode::Allow {
        return exchange_startup(&mut socket, plan);
    }
    let is_optional = tls.mode == Mode::Prefer;
    match negotiate_tls(socket, tls, target.certificate_name())? {
        Negotiated::Encrypted(mut stream) => {
            let reply = exchange_startup(&mut stream, plan);
            // Otherwise the server logs "unexpected eof while reading". The reply is known, so a failure is ignored.
            stream.conn.send_close_notify();
            let _ = stream.flush();
            reply
        }
        Negotiated::Rejected(mut socket) if is_optional => exchange_startup(&mut socket, plan),
        Negotiated::Failed if is_optional => {
            exchange_startup(&mut DeadlineSocket::connect(address, deadline)?, plan)
        }
        _ => Ok(StartupReply::NotPostgres),
    }
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// Sends the startup packet and reads until the reply is complete.
fn exchange_startup(stream: &mut dyn Stream, plan: &Plan) -> io::Result<StartupReply> {
    let packet =
        protocol::encode_startup_packet(&plan.user, &plan.database, &plan.application_name);
    stream.write_all(&packet)?;
    stream.flush()?;
    let mut received = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        received.extend_from_slice(&chunk[..count]);
        match protocol::parse_startup_reply(&received) {
            StartupReply::Incomplete if received.len() < MAX_MESSAGE_LEN => {}
            StartupReply::Incomplete => return Ok(StartupReply::NotPostgres),
            reply => {
                if protocol::is_authentication_ok(&received) {
                    // Otherwise the server logs "unexpected EOF on client connection".
                    let _ = stream.write_all(&protocol::TERMINATE);
                }
                return Ok(reply);
            }
        }
    }
}
