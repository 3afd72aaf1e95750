//! The states that a check tells apart.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::protocol::ServerError;
use crate::verdict::Verdict;

/// What a check found. Each has a name for scripts and belongs to one of the contract's four verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It accepts connections and passes every check that was asked for.
    Accepting,
    /// It is starting up.
    Starting,
    /// It is shutting down.
    ShuttingDown,
    /// It is in recovery and does not accept connections yet, or is no hot standby.
    Recovery,
    /// It turns everyone away and does not say why in words that are known here.
    Rejecting,
    /// All of its connection slots are taken.
    TooManyConnections,
    /// The password is wrong or missing.
    BadPassword,
    /// There is no such role.
    NoSuchRole,
    /// There is no such database.
    NoSuchDatabase,
    /// Its rules do not let this role in from here.
    NotPermitted,
    /// It accepts no writes.
    ReadOnly,
    /// It is a standby, and was to be a primary.
    Standby,
    /// It is a primary, and was to be a standby.
    Primary,
    /// It is too far behind its primary.
    Lagging,
    /// Its schema is older than asked for.
    SchemaBehind,
    /// A query of a check failed or said no.
    QueryFailed,
    /// It does not offer TLS, or its certificate is not trusted.
    TlsRefused,
    /// Its name does not resolve.
    DnsFailure,
    /// Nobody listens there.
    Refused,
    /// The network does not lead there.
    Unreachable,
    /// It did not answer in time; the phase says which answer was missing.
    Timeout,
    /// It closed the connection without a word.
    Closed,
    /// It is no PostgreSQL server, or sends more than a check needs.
    Protocol,
    /// What was asked for makes no sense; nobody was asked.
    NoAttempt,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 24] = [
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
        Self::QueryFailed,
        Self::TlsRefused,
        Self::DnsFailure,
        Self::Refused,
        Self::Unreachable,
        Self::Timeout,
        Self::Closed,
        Self::Protocol,
        Self::NoAttempt,
    ];

    /// Its name for scripts.
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
            Self::QueryFailed => "query_failed",
            Self::TlsRefused => "tls_refused",
            Self::DnsFailure => "dns_failure",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::NoAttempt => "no_attempt",
        }
    }

    /// The contract's word for it, and with it the exit code.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Accepting => Verdict::Accepting,
            Self::TlsRefused
            | Self::DnsFailure
            | Self::Refused
            | Self::Unreachable
            | Self::Timeout
            | Self::Closed
            | Self::Protocol => Verdict::NoResponse,
            Self::NoAttempt => Verdict::NoAttempt,
            _ => Verdict::Rejecting,
        }
    }

    /// What a server's refusal means.
    ///
    /// SQLSTATE classes are coarse: one code stands for an unknown role and for a rule of pg_hba.conf, another for
    /// every state in which nobody may connect. The server's function tells the first two apart in every language; the
    /// others only its English words.
    #[must_use]
    pub fn of(error: &ServerError) -> Self {
        let says = |words: &str| error.message.contains(words);
        match error.code.as_str() {
            "57P03" if says("shutting down") => Self::ShuttingDown,
            "57P03" if says("starting up") => Self::Starting,
            "57P03" if says("recovery") || says("not yet accepting") || says("not accepting") => {
                Self::Recovery
            }
            "57P03" => Self::Rejecting,
            "57P01" | "57P02" => Self::ShuttingDown,
            "53300" => Self::TooManyConnections,
            "28P01" => Self::BadPassword,
            "28000" if error.routine == "ClientAuthentication" || says("pg_hba.conf") => {
                Self::NotPermitted
            }
            "28000" if says("is not permitted to log in") => Self::NotPermitted,
            "28000" if error.routine == "InitializeSessionUserId" || says("does not exist") => {
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
