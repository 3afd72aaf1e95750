//! Where PostgreSQL is: `Server=…;User Id=…` as the original has it, or anything that libpq reads.

use std::path::PathBuf;

use pg_ready::conninfo::{self, ConninfoError, Settings};
use pg_ready::tls::TlsSettings;
use secrecy::SecretString;

/// How to reach a PostgreSQL server.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// Its names or socket folders, to be tried in this order.
    pub hosts: Vec<String>,
    /// Its ports: one, or one for each host.
    pub ports: Vec<u16>,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// The role's password.
    pub password: Option<SecretString>,
    /// How to encrypt.
    pub tls: TlsSettings,
}

/// A connection string that makes no sense. None of it is shown: it may be the password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// Not libpq's either.
    #[error(transparent)]
    Conninfo(#[from] ConninfoError),
    /// A part without a value.
    #[error(
        "part {0} has no \"=\"; it should look like Server=…;Port=…;Database=…;User Id=…;Password=…;"
    )]
    MissingEquals(usize),
    /// A key that nobody knows.
    #[error(
        "unknown key {0:?}; known are Server, Port, Database, User Id, Password, SSL Mode, Root Certificate, Timeout"
    )]
    UnknownKey(String),
    /// A port that is none.
    #[error("its port is no number from 1 to 65535")]
    Port,
    /// No host.
    #[error("it names no server")]
    NoServer,
}

/// The keys of the original's driver that matter here, as libpq calls them; the others have no meaning here and no effect.
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
];
const WITHOUT_EFFECT: &[&str] = &[
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
    /// Reads a connection string of any of the three forms.
    ///
    /// # Errors
    /// When it is of none.
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
        Ok(Self {
            hosts,
            ports,
            database: get("dbname").unwrap_or(&user).clone(),
            user,
            password: get("password").map(|password| password.clone().into()),
            tls: TlsSettings::new(settings, None),
        })
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
        } else if !WITHOUT_EFFECT.contains(&key.as_str()) {
            return Err(ConnectionError::UnknownKey(key));
        }
    }
    Ok(settings)
}

/// `VerifyFull` is libpq's `verify-full`.
fn ssl_mode(value: &str) -> String {
    match value.to_lowercase().as_str() {
        "verifyca" => "verify-ca".to_owned(),
        "verifyfull" => "verify-full".to_owned(),
        other => other.to_owned(),
    }
}

/// The file of `Filename=…` or `Data Source=…`.
pub(super) fn sqlite_file(text: &str) -> Option<PathBuf> {
    text.split(';').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        let known = ["filename", "data source", "datasource"];
        known
            .contains(&key.trim().to_lowercase().as_str())
            .then(|| PathBuf::from(value.trim()))
    })
}
