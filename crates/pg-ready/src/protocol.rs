//! The few messages of PostgreSQL's protocol that a check needs: bytes in, meaning out, no input or output.
//!
//! Total over hostile input: it never asks for more than [`MAX_MESSAGE`] bytes, whatever a length field says.
//! Source of the formats: the PostgreSQL manual, "Message Formats".

mod server_error;

pub use server_error::ServerError;

/// The longest error message that libpq takes before authentication; longer ones are not the protocol.
pub const MAX_ERROR: usize = 30_000;
/// The longest authentication request that libpq takes.
pub(crate) const MAX_AUTHENTICATION: usize = 2_000;
/// The most bytes of a server that are ever held.
pub const MAX_MESSAGE: usize = 1 + MAX_ERROR;

const PROTOCOL_3_0: i32 = 3 << 16;
const SSL_REQUEST: i32 = (1234 << 16) | 5679;

/// The server is in a state in which nobody may connect (`cannot_connect_now`).
const CANNOT_CONNECT_NOW: &[u8] = b"57P03";

/// What the first message of a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It asks who we are, or complains about who we are: it is up.
    Up,
    /// It refuses everyone at the moment.
    Rejecting,
    /// It does not speak the protocol.
    Foreign,
    /// Not all of it is here yet.
    Incomplete,
}

/// The packet that opens a session.
#[must_use]
pub fn startup_packet(user: &str, database: &str, application: &str) -> Vec<u8> {
    let mut packet = vec![0; 4];
    packet.extend_from_slice(&PROTOCOL_3_0.to_be_bytes());
    for (name, value) in [
        ("user", user),
        ("database", database),
        ("application_name", application),
    ] {
        if value.is_empty() {
            continue;
        }
        for text in [name, value] {
            packet.extend_from_slice(text.as_bytes());
            packet.push(0);
        }
    }
    packet.push(0);
    let length =
        i32::try_from(packet.len()).expect("names come from a command line, far below 2 GiB");
    packet[..4].copy_from_slice(&length.to_be_bytes());
    packet
}

/// The packet that asks for TLS; the server answers with one byte.
#[must_use]
pub fn ssl_request() -> [u8; 8] {
    let mut packet = [0; 8];
    packet[..4].copy_from_slice(&8_i32.to_be_bytes());
    packet[4..].copy_from_slice(&SSL_REQUEST.to_be_bytes());
    packet
}

/// Reads the first message of a server from what has arrived so far.
#[must_use]
pub fn read_answer(bytes: &[u8]) -> Answer {
    let Some((&kind, rest)) = bytes.split_first() else {
        return Answer::Incomplete;
    };
    if !matches!(kind, b'R' | b'E' | b'v') {
        return Answer::Foreign;
    }
    let Some(length) = rest.first_chunk().map(|bytes| i32::from_be_bytes(*bytes)) else {
        return Answer::Incomplete;
    };
    let limit = if kind == b'R' {
        MAX_AUTHENTICATION
    } else {
        MAX_ERROR
    };
    let Some(length) = usize::try_from(length)
        .ok()
        .filter(|length| (8..=limit).contains(length))
    else {
        return Answer::Foreign;
    };
    match kind {
        b'R' if rest.len() < 8 => Answer::Incomplete,
        b'R' => Answer::Up,
        b'v' if rest.len() < length => Answer::Incomplete,
        // The version is negotiated and the real answer follows.
        b'v' => read_answer(&rest[length..]),
        _ if rest.len() < length => Answer::Incomplete,
        _ => error_answer(&rest[4..length]),
    }
}

/// The error in what has arrived, if there is one after a negotiation of the version and a word of welcome: a server
/// that trusts lets us in before it looks whether there is such a role.
#[must_use]
pub fn server_error(bytes: &[u8]) -> Option<ServerError> {
    let (&kind, rest) = bytes.split_first()?;
    let length = usize::try_from(i32::from_be_bytes(*rest.first_chunk()?)).ok()?;
    match kind {
        b'E' => Some(ServerError::parse(rest.get(4..length)?)),
        b'v' | b'R' => server_error(rest.get(length.max(4)..)?),
        _ => None,
    }
}

/// Whether the server has let us in without asking for anything: then it waits for a word of farewell.
#[must_use]
pub fn lets_in(bytes: &[u8]) -> bool {
    bytes.starts_with(b"R\0\0\0\x08\0\0\0\0")
}

/// The packet that ends a session.
pub const TERMINATE: [u8; 5] = *b"X\0\0\0\x04";

/// Whether a byte that answers [`ssl_request`] offers TLS; none if it is no such answer.
#[must_use]
pub fn offers_tls(answer: u8) -> Option<bool> {
    match answer {
        b'S' => Some(true),
        b'N' => Some(false),
        _ => None,
    }
}

/// An error is a list of fields, each a letter and a text that ends in a zero byte; `C` is the SQLSTATE.
fn error_answer(fields: &[u8]) -> Answer {
    let state = fields
        .split(|&byte| byte == 0)
        .find_map(|field| field.strip_prefix(b"C"));
    match state {
        Some(CANNOT_CONNECT_NOW) => Answer::Rejecting,
        Some(state) if state.len() == 5 => Answer::Up,
        _ => Answer::Foreign,
    }
}

#[cfg(test)]
mod tests;
