//! Settings from files, the environment and the command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::args::Args;

mod connection;
mod file;

pub use connection::{ConnectionError, PostgresSettings};

/// Settings of the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Storage of items.
    pub provider: Provider,
    /// `true` if items must not be changed.
    pub read_only: bool,
    /// `true` if `/config` is served.
    pub config_page: bool,
    /// `true` if `/metrics` is served.
    pub metrics: bool,
    /// Message at the top of every page.
    pub banner: Option<String>,
    /// All settings for display, with secrets masked.
    pub displayed: Vec<DisplayedSetting>,
}

/// Storage of items.
#[derive(Clone, Debug)]
pub enum Provider {
    /// PostgreSQL.
    Postgres(Box<PostgresSettings>),
    /// SQLite file.
    Sqlite(PathBuf),
}

impl Provider {
    /// Returns the name in settings and pages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "Postgres",
            Self::Sqlite(_) => "Sqlite",
        }
    }
}

/// A setting for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayedSetting {
    /// Key.
    pub key: String,
    /// Value, or asterisks.
    pub value: String,
    /// File or variable with the value.
    pub source: String,
}

/// A value and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    key: String,
    value: String,
    source: String,
}

/// All settings by their keys in lower case, because case is not significant.
type Entries = BTreeMap<String, Entry>;

/// Error of an invalid setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{}: {problem}", .path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error and remedy.
        problem: String,
    },
    /// The value is invalid.
    #[error("{source_name}: {key}: {problem}")]
    Value {
        /// File or variable with the value.
        source_name: String,
        /// Key of the setting.
        key: String,
        /// Error and remedy.
        problem: String,
    },
}

const PROVIDER: &str = "Database:Provider";
const READ_ONLY: &str = "Database:ReadOnly";
const CONFIG_PAGE: &str = "ConfigController:Enabled";
const METRICS: &str = "Metrics:Enabled";
const BANNER: &str = "BannerMessage";
const CONNECTION: &str = "ConnectionStrings:ToDoDb";
const READ_ONLY_CONNECTION: &str = "ConnectionStrings:ToDoDb-ReadOnly";

impl Settings {
    /// Reads the files, and the variables and flags that override them.
    ///
    /// # Errors
    /// The first invalid file or value.
    pub fn load(
        args: &Args,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut entries = Entries::new();
        file::read(&args.config, &mut entries)?;
        file::read(&args.secrets, &mut entries)?;
        for (name, value) in environment.filter(|(name, _)| name.contains("__") || name == BANNER) {
            insert(&mut entries, name.replace("__", ":"), value, name);
        }
        if let Some(database) = &args.database {
            let source = "--database or DATABASE_URL";
            insert(
                &mut entries,
                CONNECTION.to_owned(),
                database.clone(),
                source.to_owned(),
            );
            insert(
                &mut entries,
                PROVIDER.to_owned(),
                "Postgres".to_owned(),
                source.to_owned(),
            );
        }
        Self::from_entries(&entries, &args.sqlite)
    }

    fn from_entries(entries: &Entries, sqlite: &Path) -> Result<Self, SettingsError> {
        Ok(Self {
            provider: provider(entries, sqlite)?,
            read_only: bool_setting(entries, READ_ONLY, false)?,
            config_page: bool_setting(entries, CONFIG_PAGE, false)?,
            metrics: bool_setting(entries, METRICS, true)?,
            banner: get(entries, BANNER)
                .map(|entry| entry.value.clone())
                .filter(|text| !text.is_empty()),
            displayed: entries.values().map(display).collect(),
        })
    }
}

fn insert(entries: &mut Entries, key: String, value: String, source: String) {
    let entry = Entry { key, value, source };
    entries.insert(entry.key.to_lowercase(), entry);
}

fn get<'a>(entries: &'a Entries, key: &str) -> Option<&'a Entry> {
    entries.get(&key.to_lowercase())
}

fn bool_setting(entries: &Entries, key: &str, default: bool) -> Result<bool, SettingsError> {
    let Some(entry) = get(entries, key) else {
        return Ok(default);
    };
    match entry.value.to_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(entry.invalid(format!("{other:?} is neither true nor false"))),
    }
}

/// Returns the connection string. A read-only list may have one of its own, with a role that cannot write for example.
fn connection(entries: &Entries) -> Result<Option<&Entry>, SettingsError> {
    let own = get(entries, READ_ONLY_CONNECTION).filter(|entry| !entry.value.is_empty());
    let read_only = bool_setting(entries, READ_ONLY, false)?;
    Ok(own
        .filter(|_| read_only)
        .or_else(|| get(entries, CONNECTION)))
}

fn provider(entries: &Entries, sqlite: &Path) -> Result<Provider, SettingsError> {
    let connection = connection(entries)?;
    let named = get(entries, PROVIDER);
    // A connection string without a provider selects PostgreSQL, the only one that needs it.
    let name = named.map(|entry| entry.value.to_lowercase());
    match name.as_deref() {
        Some("postgres" | "postgresql") | None if connection.is_some() => {
            let entry = connection.expect("the pattern checked it");
            PostgresSettings::parse(&entry.value)
                .map(|settings| Provider::Postgres(Box::new(settings)))
                .map_err(|error| entry.invalid(error.to_string()))
        }
        Some("postgres" | "postgresql") => Err(SettingsError::Value {
            source_name: named.map_or_else(String::new, |entry| entry.source.clone()),
            key: PROVIDER.to_owned(),
            problem: format!(
                "Postgres needs {CONNECTION}, in the file of secrets or the environment"
            ),
        }),
        Some("sqlite") | None => {
            let file = connection.and_then(|entry| connection::sqlite_file(&entry.value));
            Ok(Provider::Sqlite(file.unwrap_or_else(|| sqlite.to_owned())))
        }
        Some(_) => {
            let entry = named.expect("name is derived from it");
            Err(entry.invalid(format!("{:?} is neither Postgres nor Sqlite", entry.value)))
        }
    }
}

impl Entry {
    fn invalid(&self, problem: String) -> SettingsError {
        SettingsError::Value {
            source_name: self.source.clone(),
            key: self.key.clone(),
            problem,
        }
    }
}

/// Masks values whose keys suggest a secret. The mask does not reveal the length.
fn display(entry: &Entry) -> DisplayedSetting {
    const SECRET_WORDS: [&str; 6] = [
        "connectionstring",
        "password",
        "secret",
        "token",
        "key",
        "credential",
    ];
    let key = entry.key.to_lowercase();
    let is_secret = SECRET_WORDS.iter().any(|word| key.contains(word));
    DisplayedSetting {
        key: entry.key.clone(),
        value: if is_secret {
            "********".to_owned()
        } else {
            entry.value.clone()
        },
        source: entry.source.clone(),
    }
}

#[cfg(test)]
mod tests;
