//! Connection strings: `Server=…;User Id=…` as in the original, or any form that libpq accepts.

use std::path::PathBuf;

use pg_ready::conninfo::{self, ConninfoError, Settings};
use pg_ready::tls::TlsSettings;
use secrecy::SecretString;
use tokio_postgres::config::TargetSessionAttrs;

/// Address and credentials of a PostgreSQL server.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// Host names or socket directories, in the order of the attempts.
    pub hosts: Vec<String>,
    /// Ports: one, or one for each host.
    pub ports: Vec<u16>,
    /// Name of the database.
    pub database: String,
    /// Name of the role.
    pub user: String,
    /// Password of the role.
    pub password: Option<SecretString>,
    /// Encryption.
    pub tls: TlsSettings,
    /// Property that a host must have.
    pub target_session_attrs: TargetSessionAttrs,
}

/// Error of an invalid connection string. Messages contain no value: it may be the password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The string is invalid for libpq.
    #[error(transparent)]
    Conninfo(#[from] ConninfoError),
    /// A part has no value.
    #[error(
        "part {0} has no \"=\"; it should look like Server=…;Port=…;Database=…;User Id=…;Password=…;"
    )]
    MissingEquals(usize),
    /// A key is unknown.
    #[error(
        "unknown key {0:?}; known are Server, Port, Database, User Id, Password, SSL Mode, Root Certificate, Target Session Attributes, Timeout"
    )]
    UnknownKey(String),
    /// A port is invalid.
    #[error("invalid port: expected numbers from 1 to 65535, one or as many as hosts")]
    Port,
    /// The host is missing.
    #[error("no server: add Server=NAME")]
    NoServer,
    /// The property of hosts is unknown.
    #[error(
        "invalid target_session_attrs: expected any, read-write, read-only, primary, standby or prefer-standby"
    )]
    TargetSessionAttrs,
}

/// Keys of the original's driver and libpq's names for them. Keys without a meaning here are in [`IGNORED_KEYS`].
const KEYS: &[(&[&str], &str)] = &[
    (&["server", "host", "data source"], "host"),
    (&["port"], "port"),
    (&["database", "db"], "dbname"),
    (
        &["user id", "userid", "username", "user name", "user", "uid"],
        "user",
    ),
    (&["password", "pwd"], "password"),
    (&["ssl mode", "sslmode"], "sslmode"),
    (&["root certificate"], "sslrootcert"),
    (&["application name"], "application_name"),
    (&["target session attributes"], "target_session_attrs"),
];
const IGNORED_KEYS: &[&str] = &[
    "timeout",
    "command timeout",
    "pooling",
    "minimum pool size",
    "maximum pool size",
    "keepalive",
    "include error detail",
    "trust server certificate",
];

impl PostgresSettings {
    /// Parses a connection string of any of the three forms.
    ///
    /// # Errors
    /// See [`ConnectionError`].
    pub fn parse(text: &str) -> Result<Self, ConnectionError> {
        let text = text.trim();
        let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
        let settings = if text.contains(';') && !is_url {
            driver_settings(text)?
        } else {
            conninfo::parse(text)?
        };
        Self::from_settings(&settings)
    }

    fn from_settings(settings: &Settings) -> Result<Self, ConnectionError> {
        let get = |name: &str| settings.get(name).filter(|value| !value.is_empty());
        let list = |name: &str| {
            get(name).map(|value| {
                value
                    .split(',')
                    .map(|part| part.trim().to_owned())
                    .collect()
            })
        };
        let hosts: Vec<String> = list("hostaddr")
            .or_else(|| list("host"))
            .unwrap_or_default();
        if hosts.is_empty() || hosts.iter().any(String::is_empty) {
            return Err(ConnectionError::NoServer);
        }
        let ports: Vec<String> = list("port").unwrap_or_else(|| vec!["5432".to_owned()]);
        let port = |text: &String| match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(ConnectionError::Port),
        };
        let ports: Vec<u16> = ports.iter().map(port).collect::<Result<_, _>>()?;
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err(ConnectionError::Port);
        }
        let user = get("user")
            .cloned()
            .unwrap_or_else(|| "postgres".to_owned());
        let target_session_attrs =
            target_session_attrs(get("target_session_attrs").map(String::as_str))?;
        Ok(Self {
            target_session_attrs,
            hosts,
            ports,
            database: get("dbname").unwrap_or(&user).clone(),
            user,
            password: get("password").map(|password| password.clone().into()),
            tls: TlsSettings::new(settings, None),
        })
    }
}

/// Maps libpq's values, and the driver's, to those of tokio-postgres: a primary accepts changes, a standby does not.
fn target_session_attrs(value: Option<&str>) -> Result<TargetSessionAttrs, ConnectionError> {
    match value.map(str::to_lowercase).as_deref() {
        None | Some("any" | "prefer-standby") => Ok(TargetSessionAttrs::Any),
        Some("read-write" | "primary") => Ok(TargetSessionAttrs::ReadWrite),
        Some("read-only" | "standby") => Ok(TargetSessionAttrs::ReadOnly),
        Some(_) => Err(ConnectionError::TargetSessionAttrs),
    }
}

fn driver_settings(text: &str) -> Result<Settings, ConnectionError> {
    let mut settings = Settings::new();
    for (index, part) in text.split(';').enumerate() {
        if part.trim().is_empty() {
            continue;
        }
        let (key, value) = part
            .split_once('=')
            .ok_or(ConnectionError::MissingEquals(index + 1))?;
        let key = key.trim().to_lowercase();
        let value = value.trim();
        let value = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
            .unwrap_or(value);
        if let Some((_, keyword)) = KEYS.iter().find(|(names, _)| names.contains(&key.as_str())) {
            let value = if *keyword == "sslmode" {
                ssl_mode(value)
            } else {
                value.to_owned()
            };
            settings.insert(keyword, value);
        } else if !IGNORED_KEYS.contains(&key.as_str()) {
            return Err(ConnectionError::UnknownKey(key));
        }
    }
    Ok(settings)
}

/// Converts the driver's `VerifyFull` to libpq's `verify-full`.
fn ssl_mode(value: &str) -> String {
    match value.to_lowercase().as_str() {
        "verifyca" => "verify-ca".to_owned(),
        "verifyfull" => "verify-full".to_owned(),
        other => other.to_owned(),
    }
}

/// Returns the file of `Filename=…` or `Data Source=…`.
pub(super) fn sqlite_file(text: &str) -> Option<PathBuf> {
    text.split(';').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        let known = ["filename", "data source", "datasource"];
        known
            .contains(&key.trim().to_lowercase().as_str())
            .then(|| PathBuf::from(value.trim()))
    })
}
