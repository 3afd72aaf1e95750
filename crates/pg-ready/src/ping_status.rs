use std::fmt;

use serde::{Serialize, Serializer};

/// Result of `pg_isready`: libpq's `PGPing`, a closed set.
///
/// Displayed and serialized as `pg_isready` prints it, such as `accepting connections`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PingStatus {
    /// The server accepts connections. Without a login check it may still reject this role or this database.
    Ok,
    /// The server runs and rejects every connection: it is starting, shutting down, or in recovery without hot standby;
    /// or a check failed.
    Reject,
    /// No server replied, or the peer is not a PostgreSQL server.
    NoResponse,
    /// No server was contacted, because the parameters are invalid.
    NoAttempt,
}

impl PingStatus {
    /// Returns the exit code of `pg_isready`, 0 to 3.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Reject => 1,
            Self::NoResponse => 2,
            Self::NoAttempt => 3,
        }
    }
}

impl fmt::Display for PingStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "accepting connections",
            Self::Reject => "rejecting connections",
            Self::NoResponse => "no response",
            Self::NoAttempt => "no attempt",
        })
    }
}

impl Serialize for PingStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
