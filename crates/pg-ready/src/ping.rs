//! Tries the servers of a plan, one after the other, over blocking sockets.
//!
//! libpq by default asks for TLS first; this check does not, because the first message of a server says as much
//! without it: a server that insists on TLS complains, and whoever complains is up. Where the settings demand TLS,
//! [`crate::probe()`] asks instead.
//!
//! No runtime and no thread: this is what runs every few seconds in somebody's pod.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket, Type};

use crate::peer;
use crate::protocol::{self, Answer, MAX_MESSAGE};
use crate::target::{Plan, Target};
use crate::verdict::Verdict;

/// Asks each server in turn, each for at most `timeout`; the first that accepts, or that is there and is not starting
/// or stopping, decides.
#[must_use]
pub fn ping(plan: &Plan, timeout: Option<Duration>) -> Verdict {
    let mut verdict = Verdict::NoResponse;
    for address in plan.targets.iter().flat_map(addresses) {
        match ask(&address, plan, timeout) {
            Ok(Answer::Up) => return Verdict::Accepting,
            Ok(Answer::Rejecting) => verdict = Verdict::Rejecting,
            // Whoever is there and speaks another protocol ends libpq's search.
            Ok(Answer::Foreign | Answer::Incomplete) => return Verdict::NoResponse,
            Err(_) => verdict = Verdict::NoResponse,
        }
    }
    verdict
}

fn addresses(target: &Target) -> Vec<SockAddr> {
    let resolved = |found: io::Result<std::vec::IntoIter<SocketAddr>>| -> Vec<SockAddr> {
        found.into_iter().flatten().map(SockAddr::from).collect()
    };
    match target {
        // The resolver would read its files even for an address.
        Target::Name(host, port) => match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, *port).into()],
            Err(_) => Target::spellings(host)
                .map(|name| resolved((name.as_str(), *port).to_socket_addrs()))
                .find(|found| !found.is_empty())
                .unwrap_or_default(),
        },
        Target::Address(address, port, _) => vec![SocketAddr::new(*address, *port).into()],
        Target::Socket(path) => SockAddr::unix(path).into_iter().collect(),
        Target::Unusable => Vec::new(),
    }
}

fn ask(address: &SockAddr, plan: &Plan, timeout: Option<Duration>) -> io::Result<Answer> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut socket = connect(address, deadline)?;
    if address.is_unix() && !peer::is_as_required(&socket, plan.peer.as_deref()) {
        return Ok(Answer::Foreign);
    }
    socket.write_all(&protocol::startup_packet(
        &plan.user,
        &plan.database,
        &plan.application,
    ))?;
    let mut held = Vec::with_capacity(1024);
    let mut part = [0; 1024];
    loop {
        let count = read(&mut socket, &mut part, deadline)?;
        held.extend_from_slice(&part[..count]);
        match protocol::read_answer(&held) {
            Answer::Incomplete if held.len() < MAX_MESSAGE => {}
            Answer::Incomplete => return Ok(Answer::Foreign),
            answer => {
                if protocol::lets_in(&held) {
                    // Whoever leaves without a word is noted in the server's log.
                    let _ = socket.write_all(&protocol::TERMINATE);
                }
                return Ok(answer);
            }
        }
    }
}

fn connect(address: &SockAddr, deadline: Option<Instant>) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    match left(deadline)? {
        Some(left) => socket.connect_timeout(address, left)?,
        None => socket.connect(address)?,
    }
    Ok(socket)
}

fn read(socket: &mut Socket, part: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
    socket.set_read_timeout(left(deadline)?)?;
    match socket.read(part)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => Ok(count),
    }
}

/// What is left until the deadline; an error once nothing is.
fn left(deadline: Option<Instant>) -> io::Result<Option<Duration>> {
    match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
        Some(Duration::ZERO) => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}
