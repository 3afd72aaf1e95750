//! What may be asked of a server beyond an answer.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub(crate) mod run;

/// One question to a server that has let us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Does it let this role into this database?
    Login,
    /// Does this statement succeed, and not answer with nothing, null or false?
    Query(String),
    /// Does it take a write all the way to its log?
    Write,
    /// Is it no standby?
    Primary,
    /// Is it a standby?
    Standby,
    /// Is it at most so far behind its primary? A primary never is.
    Lag(Duration),
    /// Is its schema at least at this version?
    Schema(i64),
}

/// A check that nobody knows, or one without a usable value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The name.
    #[error(
        "unknown check {0:?}: it is one of login, query=SQL, write, primary, standby, lag=DURATION, schema=N"
    )]
    Unknown(String),
    /// The value.
    #[error("check {name}={value:?}: {expected}")]
    Value {
        /// Which check.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Two that cannot both pass.
    #[error("checks primary and standby exclude each other")]
    Contradiction,
}

impl FromStr for Check {
    type Err = CheckError;

    fn from_str(text: &str) -> Result<Self, CheckError> {
        let wrong = |name, value: &str, expected| CheckError::Value {
            name,
            value: value.to_owned(),
            expected,
        };
        match text.split_once('=') {
            None => match text {
                "login" => Ok(Self::Login),
                "write" => Ok(Self::Write),
                "primary" => Ok(Self::Primary),
                "standby" => Ok(Self::Standby),
                _ => Err(CheckError::Unknown(text.to_owned())),
            },
            Some(("query", sql)) if sql.trim().is_empty() => {
                Err(wrong("query", sql, "needs a statement"))
            }
            Some(("query", sql)) => Ok(Self::Query(sql.to_owned())),
            Some(("lag", value)) => crate::wait::duration(value)
                .map(Self::Lag)
                .ok_or_else(|| wrong("lag", value, "needs a duration, such as 500ms or 10s")),
            Some(("schema", value)) => value
                .parse()
                .map(Self::Schema)
                .map_err(|_| wrong("schema", value, "needs a whole number")),
            Some(_) => Err(CheckError::Unknown(text.to_owned())),
        }
    }
}

/// Reads a list of checks parted by commas; a statement goes on to the end, commas and all.
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

/// Refuses what can never pass.
pub fn validate(checks: &[Check]) -> Result<(), CheckError> {
    if checks.contains(&Check::Primary) && checks.contains(&Check::Standby) {
        return Err(CheckError::Contradiction);
    }
    Ok(())
}

/// The statement of a query is not shown: it may hold what is not for everyone.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login => f.write_str("login"),
            Self::Query(_) => f.write_str("query"),
            Self::Write => f.write_str("write"),
            Self::Primary => f.write_str("primary"),
            Self::Standby => f.write_str("standby"),
            Self::Lag(most) => write!(f, "lag={}", humantime::format_duration(*most)),
            Self::Schema(least) => write!(f, "schema={least}"),
        }
    }
}

#[cfg(test)]
mod tests;
