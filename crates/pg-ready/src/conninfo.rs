//! Parser for libpq connection strings, in both forms: keyword/value pairs and URIs.
//!
//! Source of the rules: the PostgreSQL manual, "Connection Strings".

use std::collections::BTreeMap;

mod keyword_value;
mod keywords;
mod uri;

/// Values by libpq keyword.
pub type Settings = BTreeMap<&'static str, String>;

/// An invalid connection string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConninfoError {
    /// The keyword is not one of libpq 18.
    #[error("invalid connection option {0:?}")]
    UnknownKeyword(String),
    /// A keyword has no value.
    #[error("missing \"=\" after {0:?} in connection info string")]
    MissingEquals(String),
    /// A quoted value has no closing quote.
    #[error("unterminated quoted string in connection info string")]
    UnterminatedQuote,
    /// The URI has a syntax error.
    #[error("{problem} in {part:?} of the URI")]
    Uri {
        /// Description of the error.
        problem: String,
        /// The invalid part of the URI, or its name if it may contain a password.
        part: String,
    },
}

/// Returns `true` if libpq treats a database name as a connection string: it contains `=` or starts with a URI scheme.
#[must_use]
pub fn is_connection_string(text: &str) -> bool {
    uri::strip_scheme(text).is_some() || text.contains('=')
}

/// Parses a connection string of either form.
///
/// # Errors
/// If the string has a syntax error or an unknown keyword. Values are not validated.
pub fn parse(text: &str) -> Result<Settings, ConninfoError> {
    match uri::strip_scheme(text) {
        Some(body) => uri::parse(body),
        None => keyword_value::parse(text),
    }
}

/// Returns `name` if it is a keyword of libpq.
pub(crate) fn known_keyword(name: &str) -> Option<&'static str> {
    keywords::find(name).ok()
}

/// Returns the settings of the environment variables (`PGHOST` and others) that a check uses.
#[must_use]
pub fn from_environment(environment: impl Fn(&str) -> Option<String>) -> Settings {
    let variables = keywords::ENVIRONMENT.iter();
    let mut settings: Settings = variables
        .filter_map(|(variable, keyword)| Some((*keyword, environment(variable)?)))
        .collect();
    if environment("PGREQUIRESSL").is_some_and(|value| value.starts_with('1')) {
        settings
            .entry("sslmode")
            .or_insert_with(|| "require".to_owned());
    }
    settings
}

#[cfg(test)]
mod tests;
