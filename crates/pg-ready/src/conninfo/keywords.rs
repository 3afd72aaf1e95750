//! Keywords and environment variables of libpq 15.

use super::{ConninfoError, Settings};

const KEYWORDS: &[&str] = &[
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "options",
    "passfile",
    "password",
    "port",
    "replication",
    "requirepeer",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslmode",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Environment variables that affect a check, and the keywords that they set.
pub(super) const ENVIRONMENT: &[(&str, &str)] = &[
    ("PGAPPNAME", "application_name"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGDATABASE", "dbname"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGOPTIONS", "options"),
    ("PGPASSFILE", "passfile"),
    ("PGPASSWORD", "password"),
    ("PGPORT", "port"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGUSER", "user"),
];

/// Stores a setting; the obsolete `requiressl` is converted to `sslmode`, which replaced it in PostgreSQL 8.0.
pub(super) fn store(
    settings: &mut Settings,
    name: &str,
    value: String,
) -> Result<(), ConninfoError> {
    if name == "requiressl" {
        let mode = if value.starts_with('1') {
            "require"
        } else {
            "prefer"
        };
        settings.insert("sslmode", mode.to_owned());
    } else {
        settings.insert(find(name)?, value);
    }
    Ok(())
}

/// Returns the static string for a keyword, or an error if libpq does not have it.
pub(super) fn find(keyword: &str) -> Result<&'static str, ConninfoError> {
    KEYWORDS
        .iter()
        .find(|known| **known == keyword)
        .copied()
        .ok_or_else(|| ConninfoError::UnknownKeyword(keyword.to_owned()))
}
