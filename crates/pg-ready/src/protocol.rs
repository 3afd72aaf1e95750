//! Encoding and parsing of the few protocol messages that a check needs; performs no I/O.
//!
//! Safe for input of a malicious server: no length field makes a caller read more than [`MAX_MESSAGE_LEN`] bytes.
//! Source of the formats: the PostgreSQL manual, "Message Formats".

mod server_error;

pub(crate) use server_error::ServerError;

/// Maximum length of an `ErrorResponse` before authentication, as in libpq; a longer one violates the protocol.
pub(crate) const MAX_ERROR_LEN: usize = 30_000;
/// Maximum length of an authentication request, as in libpq.
pub(crate) const MAX_AUTHENTICATION_LEN: usize = 2_000;
/// Maximum number of bytes of a server that are buffered: a type byte and the longest message.
pub(crate) const MAX_MESSAGE_LEN: usize = 1 + MAX_ERROR_LEN;

/// `SSLRequest`: its length, and the code 1234.5679 in the position of a protocol version.
pub(crate) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// `Terminate`, which closes a session.
pub(crate) const TERMINATE: [u8; 5] = *b"X\0\0\0\x04";

const PROTOCOL_VERSION_3_0: i32 = 3 << 16;
/// SQLSTATE `cannot_connect_now`: the server accepts no connection in its current state.
const CANNOT_CONNECT_NOW: &[u8] = b"57P03";

/// The first reply of a server to a startup packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartupReply {
    /// An authentication request, or an error about this client: the server is up.
    Accepting,
    /// The error `cannot_connect_now`: the server accepts no connection from any client.
    Rejecting,
    /// The bytes violate the protocol.
    NotPostgres,
    /// More bytes are needed.
    Incomplete,
}

/// A server's reply to [`SSL_REQUEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SslReply {
    Accepted,
    Rejected,
}

/// Encodes a `StartupMessage`; empty values are left out.
pub(crate) fn encode_startup_packet(user: &str, database: &str, application_name: &str) -> Vec<u8> {
    let mut packet = vec![0; 4];
    packet.extend_from_slice(&PROTOCOL_VERSION_3_0.to_be_bytes());
    for (name, value) in [
        ("user", user),
        ("database", database),
        ("application_name", application_name),
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

/// Parses the reply to a startup packet from the bytes received so far.
pub(crate) fn parse_startup_reply(bytes: &[u8]) -> StartupReply {
    let Some((&kind, rest)) = bytes.split_first() else {
        return StartupReply::Incomplete;
    };
    if !matches!(kind, b'R' | b'E' | b'v') {
        return StartupReply::NotPostgres;
    }
    let Some(length) = rest.first_chunk().map(|bytes| i32::from_be_bytes(*bytes)) else {
        return StartupReply::Incomplete;
    };
    let max_length = if kind == b'R' {
        MAX_AUTHENTICATION_LEN
    } else {
        MAX_ERROR_LEN
    };
    let Some(length) = usize::try_from(length)
        .ok()
        .filter(|length| (8..=max_length).contains(length))
    else {
        return StartupReply::NotPostgres;
    };
    match kind {
        b'R' if rest.len() < 8 => StartupReply::Incomplete,
        b'R' => StartupReply::Accepting,
        b'v' if rest.len() < length => StartupReply::Incomplete,
        // NegotiateProtocolVersion precedes the reply.
        b'v' => parse_startup_reply(&rest[length..]),
        _ if rest.len() < length => StartupReply::Incomplete,
        _ => classify_error(&rest[4..length]),
    }
}

/// Returns the `ErrorResponse` in a startup reply, if there is one.
///
/// The error may follow `NegotiateProtocolVersion` and `AuthenticationOk`: with the method `trust` a server
/// authenticates the client before it looks up the role.
pub(crate) fn find_server_error(bytes: &[u8]) -> Option<ServerError> {
    let (&kind, rest) = bytes.split_first()?;
    let length = usize::try_from(i32::from_be_bytes(*rest.first_chunk()?)).ok()?;
    match kind {
        b'E' => Some(ServerError::parse(rest.get(4..length)?)),
        b'v' | b'R' => find_server_error(rest.get(length.max(4)..)?),
        _ => None,
    }
}

/// Returns `true` if the reply starts with `AuthenticationOk`; the client then has a session and should send
/// [`TERMINATE`].
pub(crate) fn is_authentication_ok(bytes: &[u8]) -> bool {
    bytes.starts_with(b"R\0\0\0\x08\0\0\0\0")
}

/// Parses the reply to [`SSL_REQUEST`]; returns `None` if it violates the protocol.
pub(crate) fn parse_ssl_reply(byte: u8) -> Option<SslReply> {
    match byte {
        b'S' => Some(SslReply::Accepted),
        b'N' => Some(SslReply::Rejected),
        _ => None,
    }
}

/// Classifies an `ErrorResponse` by its field `C`, the SQLSTATE.
fn classify_error(fields: &[u8]) -> StartupReply {
    let sqlstate = fields
        .split(|&byte| byte == 0)
        .find_map(|field| field.strip_prefix(b"C"));
    match sqlstate {
        Some(CANNOT_CONNECT_NOW) => StartupReply::Rejecting,
        Some(sqlstate) if sqlstate.len() == 5 => StartupReply::Accepting,
        _ => StartupReply::NotPostgres,
    }
}

#[cfg(test)]
mod tests;
