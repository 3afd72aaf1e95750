//! Connection strings as libpq reads them: `key=value` words and URIs.
//!
//! Source of the rules: the PostgreSQL manual, "Connection Strings".

use std::collections::BTreeMap;

mod keywords;
mod uri;
mod words;

/// Settings by their libpq keyword.
pub type Settings = BTreeMap<&'static str, String>;

/// A connection string that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConninfoError {
    /// libpq knows no such setting.
    #[error("invalid connection option {0:?}")]
    UnknownKeyword(String),
    /// A word without a value.
    #[error("missing \"=\" after {0:?} in connection info string")]
    MissingEquals(String),
    /// A quote that does not end.
    #[error("unterminated quoted string in connection info string")]
    UnterminatedQuote,
    /// A URI that does not parse.
    #[error("{problem} in {uri:?} of the URI")]
    Uri {
        /// What is wrong with it.
        problem: String,
        /// The part of it that is wrong.
        uri: String,
    },
}

/// Whether libpq takes `text`, given as a database name, for a connection string.
#[must_use]
pub fn is_connection_string(text: &str) -> bool {
    uri::body(text).is_some() || text.contains('=')
}

/// Reads a connection string of either form.
pub fn parse(text: &str) -> Result<Settings, ConninfoError> {
    match uri::body(text) {
        Some(body) => uri::parse(body),
        None => words::parse(text),
    }
}

/// The keyword as libpq spells it, if it knows it.
pub(crate) fn known_keyword(name: &str) -> Option<&'static str> {
    keywords::known(name).ok()
}

/// The environment variables that set something a check uses, and what they set.
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
