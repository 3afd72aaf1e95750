//! The states that [`crate::check()`] distinguishes.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::ping_status::PingStatus;
use crate::protocol::ServerError;

/// Result of a check, with a stable name for scripts ([`State::as_str`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// The server accepts connections and passes every requested check.
    Accepting,
    /// The server is starting up.
    Starting,
    /// The server is shutting down, or an administrator terminated the session.
    ShuttingDown,
    /// The server is in recovery and does not accept connections yet, or is not a hot standby.
    Recovery,
    /// The server rejects every connection for an unknown reason, which the report contains.
    Rejecting,
    /// All connection slots of the server are in use.
    TooManyConnections,
    /// The password is wrong or missing.
    BadPassword,
    /// The role does not exist. A server that requires a password reports `BadPassword` instead.
    NoSuchRole,
    /// The database does not exist.
    NoSuchDatabase,
    /// `pg_hba.conf`, `NOLOGIN` or a missing privilege rejects the role.
    NotPermitted,
    /// The server accepts no writes.
    ReadOnly,
    /// The server is a standby, but a primary is required.
    Standby,
    /// The server is a primary, but a standby is required.
    Primary,
    /// The replication lag of the standby is above the maximum.
    Lagging,
    /// The schema version is below the required one.
    SchemaBehind,
    /// A migration of the schema failed or is not finished.
    SchemaFailed,
    /// A query of a check failed, or its first value is null or false.
    QueryFailed,
    /// The server does not support TLS, its certificate is not trusted, or channel binding is required and not
    /// possible.
    TlsFailed,
    /// The host name does not resolve.
    DnsFailure,
    /// The address, the port or a keepalives setting of the server is invalid.
    InvalidServer,
    /// The connection was refused, or the socket does not exist.
    Refused,
    /// The address is not reachable.
    Unreachable,
    /// The timeout expired; the report's phase is the one that did not finish.
    Timeout,
    /// The server closed the connection without an error message.
    Closed,
    /// The peer is not a PostgreSQL server, exceeds the limits of this crate, or does not run as the user that
    /// `requirepeer` requires.
    Protocol,
    /// No server was contacted, because the request is invalid.
    NoAttempt,
}

impl State {
    /// All states, in the order of their declaration.
    pub const ALL: &[Self] = &[
        Self::Accepting,
        Self::Starting,
        Self::ShuttingDown,
        Self::Recovery,
        Self::Rejecting,
        Self::TooManyConnections,
        Self::BadPassword,
        Self::NoSuchRole,
        Self::NoSuchDatabase,
        Self::NotPermitted,
        Self::ReadOnly,
        Self::Standby,
        Self::Primary,
        Self::Lagging,
        Self::SchemaBehind,
        Self::SchemaFailed,
        Self::QueryFailed,
        Self::TlsFailed,
        Self::DnsFailure,
        Self::InvalidServer,
        Self::Refused,
        Self::Unreachable,
        Self::Timeout,
        Self::Closed,
        Self::Protocol,
        Self::NoAttempt,
    ];

    /// Returns the name in JSON, such as `no_such_role`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepting => "accepting",
            Self::Starting => "starting",
            Self::ShuttingDown => "shutting_down",
            Self::Recovery => "recovery",
            Self::Rejecting => "rejecting",
            Self::TooManyConnections => "too_many_connections",
            Self::BadPassword => "bad_password",
            Self::NoSuchRole => "no_such_role",
            Self::NoSuchDatabase => "no_such_database",
            Self::NotPermitted => "not_permitted",
            Self::ReadOnly => "read_only",
            Self::Standby => "standby",
            Self::Primary => "primary",
            Self::Lagging => "lagging",
            Self::SchemaBehind => "schema_behind",
            Self::SchemaFailed => "schema_failed",
            Self::QueryFailed => "query_failed",
            Self::TlsFailed => "tls_failed",
            Self::DnsFailure => "dns_failure",
            Self::InvalidServer => "invalid_server",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::NoAttempt => "no_attempt",
        }
    }

    /// Returns the status that `pg_isready` has for this state.
    #[must_use]
    pub fn ping_status(self) -> PingStatus {
        match self {
            Self::Accepting => PingStatus::Ok,
            Self::TlsFailed
            | Self::DnsFailure
            | Self::InvalidServer
            | Self::Refused
            | Self::Unreachable
            | Self::Timeout
            | Self::Closed
            | Self::Protocol => PingStatus::NoResponse,
            Self::NoAttempt => PingStatus::NoAttempt,
            _ => PingStatus::Reject,
        }
    }

    /// Classifies an error of the server.
    ///
    /// SQLSTATEs are coarse: 28000 means an unknown role or a rule of `pg_hba.conf`, 57P03 any state in which the
    /// server accepts no connections. The server's function (`routine`) distinguishes the former in every language,
    /// only the English message the latter.
    pub(crate) fn from_server_error(error: &ServerError) -> Self {
        let contains = |text: &str| error.message.contains(text);
        match error.code.as_str() {
            "57P03" if contains("shutting down") => Self::ShuttingDown,
            "57P03" if contains("starting up") => Self::Starting,
            "57P03"
                if contains("recovery")
                    || contains("not yet accepting")
                    || contains("not accepting") =>
            {
                Self::Recovery
            }
            "57P03" => Self::Rejecting,
            "57P01" | "57P02" => Self::ShuttingDown,
            // PgBouncer reports each of its errors as a protocol violation before version 1.21.
            "08P01" if contains("no such database") => Self::NoSuchDatabase,
            "08P01" if contains("no such user") || contains("authentication failed") => {
                Self::BadPassword
            }
            "08P01" if contains("no more connections allowed") => Self::TooManyConnections,
            "08P01" if contains("does not allow connections") => Self::NotPermitted,
            // query_canceled, because of statement_timeout or a cancel request.
            "57014" => Self::Timeout,
            "53300" => Self::TooManyConnections,
            "28P01" => Self::BadPassword,
            "28000" if error.routine == "ClientAuthentication" || contains("pg_hba.conf") => {
                Self::NotPermitted
            }
            "28000" if contains("is not permitted to log in") => Self::NotPermitted,
            "28000" if error.routine == "InitializeSessionUserId" || contains("does not exist") => {
                Self::NoSuchRole
            }
            "28000" | "42501" => Self::NotPermitted,
            "3D000" => Self::NoSuchDatabase,
            "25006" => Self::ReadOnly,
            _ => Self::QueryFailed,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
