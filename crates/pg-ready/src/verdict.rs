//! What a check finds, and the exit code that says so.

use std::fmt;

/// What pg_isready's contract can say of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It accepts connections; whether it would let this role into this database is another question.
    Accepting,
    /// It runs and turns everyone away: starting, shutting down, in recovery without hot standby.
    Rejecting,
    /// Nobody answered, or what answered is no PostgreSQL server.
    NoResponse,
    /// Nothing was tried: the parameters make no sense.
    NoAttempt,
}

impl Verdict {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Accepting => 0,
            Self::Rejecting => 1,
            Self::NoResponse => 2,
            Self::NoAttempt => 3,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepting => "accepting connections",
            Self::Rejecting => "rejecting connections",
            Self::NoResponse => "no response",
            Self::NoAttempt => "no attempt",
        })
    }
}
