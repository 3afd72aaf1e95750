//! Checks that run on an authenticated connection (beyond `pg_isready`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::wait::parse_duration;

pub(crate) mod run;
mod schema;
pub(crate) mod session;

/// A check that runs after a successful login.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// Passes after every successful login to the requested database.
    Login,
    /// Passes if the server executes a statement. A connection pooler may accept a login while its server is down.
    ThroughPooler,
    /// Passes if the statement succeeds and, if it returns columns, the first value of the first row is neither null
    /// nor false.
    Query(String),
    /// Passes if a message is committed to the write-ahead log.
    Write,
    /// Passes if the server is not in recovery.
    Primary,
    /// Passes if the server is in recovery.
    Standby,
    /// Passes if the replication lag is at most this long. A primary has no lag.
    Lag(Duration),
    /// Passes if no migration failed and the schema version is at least this number, which may be dotted, or, for tools
    /// that name migrations, if the migration of this name is applied.
    Schema(String),
}

/// An invalid check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The name is unknown, or the check has no value where it needs one or the reverse.
    #[error(
        "unknown check {0:?}: use one of login, through-pooler, query=SQL, write, primary, standby, lag=DURATION, schema=N"
    )]
    Unknown(String),
    /// The value is invalid.
    #[error("check {name}={value:?}: {expected}")]
    Value {
        /// Name of the check.
        name: &'static str,
        /// The invalid value.
        value: String,
        /// Description of a valid value.
        expected: &'static str,
    },
    /// The checks contain `primary` and `standby`.
    #[error("checks primary and standby exclude each other")]
    Contradiction,
}

impl FromStr for Check {
    type Err = CheckError;

    fn from_str(text: &str) -> Result<Self, CheckError> {
        let invalid = |name, value: &str, expected| CheckError::Value {
            name,
            value: value.to_owned(),
            expected,
        };
        match text.split_once('=') {
            None => match text {
                "login" => Ok(Self::Login),
                "through-pooler" => Ok(Self::ThroughPooler),
                "write" => Ok(Self::Write),
                "primary" => Ok(Self::Primary),
                "standby" => Ok(Self::Standby),
                _ => Err(CheckError::Unknown(text.to_owned())),
            },
            Some(("query", sql)) if sql.trim().is_empty() => {
                Err(invalid("query", sql, "requires an SQL statement"))
            }
            Some(("query", sql)) => Ok(Self::Query(sql.to_owned())),
            Some(("lag", value)) => parse_duration(value)
                .map(Self::Lag)
                .ok_or_else(|| invalid("lag", value, "requires a duration, such as 500ms or 10s")),
            Some(("schema", "")) => Err(invalid("schema", "", "requires a version")),
            Some(("schema", value)) => Ok(Self::Schema(value.to_owned())),
            Some(_) => Err(CheckError::Unknown(text.to_owned())),
        }
    }
}

/// Parses a comma-separated list of checks. `query=` has to be the last one, because its statement may contain commas.
///
/// # Errors
/// If a check is invalid. Use [`validate`] for the list as a whole.
pub fn parse_list(text: &str) -> Result<Vec<Check>, CheckError> {
    let mut checks = Vec::new();
    let mut rest = text;
    while !rest.starts_with("query=") {
        match rest.split_once(',') {
            Some((first, after)) => {
                checks.push(first.trim().parse()?);
                rest = after.trim_start();
            }
            None => break,
        }
    }
    checks.push(rest.trim().parse()?);
    Ok(checks)
}

/// Rejects checks that can never pass together.
///
/// # Errors
/// If the list contains `primary` and `standby`.
pub fn validate(checks: &[Check]) -> Result<(), CheckError> {
    if checks.contains(&Check::Primary) && checks.contains(&Check::Standby) {
        return Err(CheckError::Contradiction);
    }
    Ok(())
}

/// Omits the statement of a query, which may contain secrets.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login => f.write_str("login"),
            Self::ThroughPooler => f.write_str("through-pooler"),
            Self::Query(_) => f.write_str("query"),
            Self::Write => f.write_str("write"),
            Self::Primary => f.write_str("primary"),
            Self::Standby => f.write_str("standby"),
            Self::Lag(max) => write!(f, "lag={}", humantime::format_duration(*max)),
            Self::Schema(min) => write!(f, "schema={min}"),
        }
    }
}

#[cfg(test)]
mod tests;
