//! What the files, the environment and the command line ask for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::args::Args;

mod connection;
mod file;

pub use connection::{ConnectionError, PostgresSettings};

/// What the service is to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where items are kept.
    pub provider: Provider,
    /// Whether items may only be read.
    pub read_only: bool,
    /// Whether `/config` is there.
    pub config_page: bool,
    /// Whether `/metrics` is there.
    pub metrics: bool,
    /// What every page says at its top.
    pub banner: Option<String>,
    /// Every setting as it may be shown: secrets are masked already.
    pub shown: Vec<Shown>,
}

/// Where items are kept.
#[derive(Clone, Debug)]
pub enum Provider {
    /// In PostgreSQL.
    Postgres(Box<PostgresSettings>),
    /// In a file.
    Sqlite(PathBuf),
}

impl Provider {
    /// Its name in settings and pages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "Postgres",
            Self::Sqlite(_) => "Sqlite",
        }
    }
}

/// A setting for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its key.
    pub key: String,
    /// Its value, or asterisks.
    pub value: String,
    /// Where it comes from.
    pub source: String,
}

/// One value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    key: String,
    value: String,
    source: String,
}

/// All settings by their keys in lower case, for keys are compared without regard to it.
type Entries = BTreeMap<String, Entry>;

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file that cannot be read.
    #[error("{}: {problem}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A value.
    #[error("{source_name}: {key}: {problem}")]
    Value {
        /// The file or the variable.
        source_name: String,
        /// Which key.
        key: String,
        /// What is wrong with it.
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
    /// Reads the files and what overrides them.
    ///
    /// # Errors
    /// At the first file or value that makes no sense.
    pub fn load(
        args: &Args,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut entries = Entries::new();
        file::read(&args.config, &mut entries)?;
        file::read(&args.secrets, &mut entries)?;
        for (name, value) in environment.filter(|(name, _)| name.contains("__") || name == BANNER) {
            put(&mut entries, name.replace("__", ":"), value, name);
        }
        if let Some(database) = &args.database {
            let source = "--database or DATABASE_URL";
            put(
                &mut entries,
                CONNECTION.to_owned(),
                database.clone(),
                source.to_owned(),
            );
            put(
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
            read_only: flag(entries, READ_ONLY, false)?,
            config_page: flag(entries, CONFIG_PAGE, false)?,
            metrics: flag(entries, METRICS, true)?,
            banner: get(entries, BANNER)
                .map(|entry| entry.value.clone())
                .filter(|text| !text.is_empty()),
            shown: entries.values().map(shown).collect(),
        })
    }
}

fn put(entries: &mut Entries, key: String, value: String, source: String) {
    let entry = Entry { key, value, source };
    entries.insert(entry.key.to_lowercase(), entry);
}

fn get<'a>(entries: &'a Entries, key: &str) -> Option<&'a Entry> {
    entries.get(&key.to_lowercase())
}

fn flag(entries: &Entries, key: &str, default: bool) -> Result<bool, SettingsError> {
    let Some(entry) = get(entries, key) else {
        return Ok(default);
    };
    match entry.value.to_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(entry.wrong(format!("{other:?} is neither true nor false"))),
    }
}

/// A list that is only read may have a way of its own to the database, such as a role that may do no more.
fn connection(entries: &Entries) -> Result<Option<&Entry>, SettingsError> {
    let own = get(entries, READ_ONLY_CONNECTION).filter(|entry| !entry.value.is_empty());
    let read_only = flag(entries, READ_ONLY, false)?;
    Ok(own
        .filter(|_| read_only)
        .or_else(|| get(entries, CONNECTION)))
}

fn provider(entries: &Entries, sqlite: &Path) -> Result<Provider, SettingsError> {
    let connection = connection(entries)?;
    let named = get(entries, PROVIDER);
    // A connection string alone says as much: only PostgreSQL needs one.
    let name = named.map(|entry| entry.value.to_lowercase());
    match name.as_deref() {
        Some("postgres" | "postgresql") | None if connection.is_some() => {
            let entry = connection.expect("just looked");
            PostgresSettings::parse(&entry.value)
                .map(|settings| Provider::Postgres(Box::new(settings)))
                .map_err(|error| entry.wrong(error.to_string()))
        }
        Some("postgres" | "postgresql") => Err(SettingsError::Value {
            source_name: named.map_or_else(String::new, |entry| entry.source.clone()),
            key: PROVIDER.to_owned(),
            problem: format!(
                "Postgres needs {CONNECTION}, in the secrets' file or the environment"
            ),
        }),
        Some("sqlite") | None => {
            let file = connection.and_then(|entry| connection::sqlite_file(&entry.value));
            Ok(Provider::Sqlite(file.unwrap_or_else(|| sqlite.to_owned())))
        }
        Some(_) => {
            let entry = named.expect("it has a name");
            Err(entry.wrong(format!("{:?} is neither Postgres nor Sqlite", entry.value)))
        }
    }
}

impl Entry {
    fn wrong(&self, problem: String) -> SettingsError {
        SettingsError::Value {
            source_name: self.source.clone(),
            key: self.key.clone(),
            problem,
        }
    }
}

/// What may hold a secret is told by its key, and shown as how long it is not.
fn shown(entry: &Entry) -> Shown {
    const SECRET: [&str; 6] = [
        "connectionstring",
        "password",
        "secret",
        "token",
        "key",
        "credential",
    ];
    let key = entry.key.to_lowercase();
    let secret = SECRET.iter().any(|word| key.contains(word));
    Shown {
        key: entry.key.clone(),
        value: if secret {
            "********".to_owned()
        } else {
            entry.value.clone()
        },
        source: entry.source.clone(),
    }
}

#[cfg(test)]
mod tests;
