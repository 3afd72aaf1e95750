//! Environment variables that the official image documents.

use std::io;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

/// Default data directory.
const DATA_DIR: &str = "/var/lib/postgresql/data";
/// Default directory of scripts for a new database.
const SCRIPTS_DIR: &str = "/docker-entrypoint-initdb.d";

/// Variables that can be given as a file that `NAME_FILE` names.
pub(crate) const FILE_VARIABLES: [&str; 4] = [
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "POSTGRES_DB",
    "POSTGRES_INITDB_ARGS",
];

/// Settings of a new database.
#[derive(Debug)]
pub struct Settings {
    /// `POSTGRES_USER`: name of the superuser.
    pub user: String,
    /// `POSTGRES_DB`: database that is created in addition to `postgres`.
    pub database: String,
    /// `POSTGRES_PASSWORD`.
    pub password: Option<SecretString>,
    /// `POSTGRES_INITDB_ARGS`, split as by a shell.
    pub initdb: Vec<String>,
    /// `POSTGRES_INITDB_ARGS` as it was given, for scripts.
    pub(crate) initdb_args: String,
    /// `POSTGRES_INITDB_WALDIR`.
    pub wal: Option<PathBuf>,
    /// `POSTGRES_HOST_AUTH_METHOD`: authentication method of clients in the network. Default: the server's `password_encryption`.
    pub auth: Option<String>,
    /// `PGDATA`.
    pub data: PathBuf,
    /// Directory of scripts for a new database.
    pub scripts: PathBuf,
}

/// Error of an invalid environment.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting has two values.
    #[error("{0} and {0}_FILE are both set; set one of them")]
    Both(&'static str),
    /// The file with a value cannot be read.
    #[error("{name}_FILE {path:?} cannot be read: {source}")]
    File {
        /// Name of the variable without `_FILE`.
        name: &'static str,
        /// Path of the file.
        path: String,
        /// The underlying OS error.
        source: io::Error,
    },
    /// A quotation is not closed.
    #[error("POSTGRES_INITDB_ARGS {0:?} has an unclosed quotation")]
    Arguments(String),
    /// A new database has no password.
    #[error(
        "POSTGRES_PASSWORD is not set: a new database needs its superuser's password; \
         set POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE, \
         or POSTGRES_HOST_AUTH_METHOD=trust to give every client that can connect superuser rights"
    )]
    NoPassword,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// A setting has two values, or its file cannot be read.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let user = value_or_file(&get, "POSTGRES_USER", "POSTGRES_USER_FILE")?;
        let user = user.unwrap_or_else(|| "postgres".to_owned());
        let database = value_or_file(&get, "POSTGRES_DB", "POSTGRES_DB_FILE")?;
        let initdb = value_or_file(&get, "POSTGRES_INITDB_ARGS", "POSTGRES_INITDB_ARGS_FILE")?;
        let initdb = initdb.unwrap_or_default();
        let path =
            |name, default: &str| PathBuf::from(get(name).unwrap_or_else(|| default.to_owned()));
        Ok(Self {
            database: database.unwrap_or_else(|| user.clone()),
            user,
            password: value_or_file(&get, "POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE")?
                .map(SecretString::from),
            initdb: shlex::split(&initdb)
                .ok_or_else(|| SettingsError::Arguments(initdb.clone()))?,
            initdb_args: initdb,
            wal: get("POSTGRES_INITDB_WALDIR").map(PathBuf::from),
            auth: get("POSTGRES_HOST_AUTH_METHOD"),
            data: path("PGDATA", DATA_DIR),
            scripts: path("TODO_DB_SCRIPTS", SCRIPTS_DIR),
        })
    }

    /// Fails without a password, except with the authentication method `trust`.
    pub(crate) fn check_password(&self) -> Result<(), SettingsError> {
        if self.password.is_some() || self.auth.as_deref() == Some("trust") {
            Ok(())
        } else {
            Err(SettingsError::NoPassword)
        }
    }

    /// Returns the password as the line that `initdb` reads.
    pub(crate) fn password_line(&self) -> Option<String> {
        let password = self.password.as_ref()?;
        Some(format!("{}\n", password.expose_secret()))
    }
}

/// Returns a variable's value, or the content of the file that another variable names, without trailing newlines.
fn value_or_file(
    get: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    file: &str,
) -> Result<Option<String>, SettingsError> {
    match (get(name), get(file)) {
        (Some(_), Some(_)) => Err(SettingsError::Both(name)),
        (value, None) => Ok(value),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => {
                Ok(Some(text.trim_end_matches('\n').to_owned()).filter(|it| !it.is_empty()))
            }
            Err(source) => Err(SettingsError::File { name, path, source }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_are_those_of_the_official_image() {
        let settings = read(&[("POSTGRES_PASSWORD", "p")]).unwrap();
        assert_eq!(
            (settings.user.as_str(), settings.database.as_str()),
            ("postgres", "postgres")
        );
        assert_eq!(
            (settings.auth, settings.data),
            (None, PathBuf::from(DATA_DIR))
        );
        assert_eq!(settings.scripts, PathBuf::from(SCRIPTS_DIR));
    }

    #[test]
    fn database_without_a_name_is_named_after_the_user() {
        let named = |pairs: &[_]| read(pairs).unwrap().database;
        assert_eq!(named(&[("POSTGRES_USER", "todo")]), "todo");
        assert_eq!(
            named(&[("POSTGRES_USER", "todo"), ("POSTGRES_DB", "list")]),
            "list"
        );
    }

    #[test]
    fn value_from_a_file_has_no_trailing_newline() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "top secret \n").unwrap();
        let settings = read(&[("POSTGRES_PASSWORD_FILE", file.to_str().unwrap())]).unwrap();
        assert_eq!(settings.password_line().unwrap(), "top secret \n");
        assert!(!format!("{settings:?}").contains("top secret"));
    }

    #[test]
    fn initdb_arguments_are_split_as_by_a_shell() {
        let settings = read(&[(
            "POSTGRES_INITDB_ARGS",
            "--data-checksums --locale='C.UTF-8'",
        )]);
        assert_eq!(
            settings.unwrap().initdb,
            ["--data-checksums", "--locale=C.UTF-8"]
        );
    }

    #[test]
    fn error_names_the_variable() {
        for (pairs, part) in [
            (
                &[("POSTGRES_DB", "a"), ("POSTGRES_DB_FILE", "/b")][..],
                "POSTGRES_DB and POSTGRES_DB_FILE",
            ),
            (
                &[("POSTGRES_PASSWORD_FILE", "/no/such")],
                "POSTGRES_PASSWORD_FILE \"/no/such\"",
            ),
            (&[("POSTGRES_INITDB_ARGS", "'a")], "POSTGRES_INITDB_ARGS"),
        ] {
            let error = read(pairs).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn password_is_optional_with_trust_only() {
        assert!(read(&[]).unwrap().check_password().is_err());
        assert!(
            read(&[("POSTGRES_PASSWORD", "")])
                .unwrap()
                .check_password()
                .is_err()
        );
        assert!(
            read(&[("POSTGRES_HOST_AUTH_METHOD", "trust")])
                .unwrap()
                .check_password()
                .is_ok()
        );
        assert!(
            read(&[("POSTGRES_PASSWORD", "p")])
                .unwrap()
                .check_password()
                .is_ok()
        );
    }
}
