//! The environment that the official image documents.

use std::io;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

/// Where data is unless `PGDATA` says otherwise.
const DATA: &str = "/var/lib/postgresql/data";
/// Where scripts for a new database are.
const SCRIPTS: &str = "/docker-entrypoint-initdb.d";

/// What a new database is made from.
#[derive(Debug)]
pub struct Settings {
    /// `POSTGRES_USER`: the superuser.
    pub user: String,
    /// `POSTGRES_DB`: the database made beside `postgres`.
    pub database: String,
    /// `POSTGRES_PASSWORD`.
    pub password: Option<SecretString>,
    /// `POSTGRES_INITDB_ARGS`, taken apart as a shell would.
    pub initdb: Vec<String>,
    /// `POSTGRES_INITDB_WALDIR`.
    pub wal: Option<PathBuf>,
    /// `POSTGRES_HOST_AUTH_METHOD`: how connections over the network show who they are.
    pub auth: String,
    /// `PGDATA`.
    pub data: PathBuf,
    /// The scripts' folder.
    pub scripts: PathBuf,
}

/// What is wrong with the environment.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Two values for one setting.
    #[error("{0} and {0}_FILE are both set; set one of them")]
    Both(&'static str),
    /// A file that is to hold a value cannot be read.
    #[error("{name}_FILE {path:?} cannot be read: {source}")]
    File {
        /// The variable without its ending.
        name: &'static str,
        /// Its value.
        path: String,
        /// The system's word.
        source: io::Error,
    },
    /// Quotes that do not end.
    #[error("POSTGRES_INITDB_ARGS {0:?} has a quote that does not end")]
    Arguments(String),
    /// A database that anyone could enter.
    #[error(
        "POSTGRES_PASSWORD is not set: a new database needs its superuser's password; \
         set POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE, \
         or POSTGRES_HOST_AUTH_METHOD=trust if everybody who can connect may be superuser"
    )]
    NoPassword,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// When a setting is given twice, or in a file that cannot be read.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let user = or_file(&get, "POSTGRES_USER", "POSTGRES_USER_FILE")?;
        let user = user.unwrap_or_else(|| "postgres".to_owned());
        let database = or_file(&get, "POSTGRES_DB", "POSTGRES_DB_FILE")?;
        let initdb = or_file(&get, "POSTGRES_INITDB_ARGS", "POSTGRES_INITDB_ARGS_FILE")?;
        let initdb = initdb.unwrap_or_default();
        let path = |name, or: &str| PathBuf::from(get(name).unwrap_or_else(|| or.to_owned()));
        Ok(Self {
            database: database.unwrap_or_else(|| user.clone()),
            user,
            password: or_file(&get, "POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE")?
                .map(SecretString::from),
            initdb: shlex::split(&initdb).ok_or(SettingsError::Arguments(initdb))?,
            wal: get("POSTGRES_INITDB_WALDIR").map(PathBuf::from),
            auth: get("POSTGRES_HOST_AUTH_METHOD").unwrap_or_else(|| "scram-sha-256".to_owned()),
            data: path("PGDATA", DATA),
            scripts: path("TODO_DB_SCRIPTS", SCRIPTS),
        })
    }

    /// A new database needs a password unless nobody is asked for one.
    pub(crate) fn check_password(&self) -> Result<(), SettingsError> {
        if self.password.is_some() || self.auth == "trust" {
            Ok(())
        } else {
            Err(SettingsError::NoPassword)
        }
    }

    /// The password for `initdb`, which reads a line.
    pub(crate) fn password_line(&self) -> Option<String> {
        let password = self.password.as_ref()?;
        Some(format!("{}\n", password.expose_secret()))
    }
}

/// A value, or the content of the file that holds it, without the newlines at its end.
fn or_file(
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
    fn the_defaults_are_the_official_images() {
        let settings = read(&[("POSTGRES_PASSWORD", "p")]).unwrap();
        assert_eq!(
            (settings.user.as_str(), settings.database.as_str()),
            ("postgres", "postgres")
        );
        assert_eq!(
            (settings.auth.as_str(), settings.data),
            ("scram-sha-256", PathBuf::from(DATA))
        );
        assert_eq!(settings.scripts, PathBuf::from(SCRIPTS));
    }

    #[test]
    fn the_database_is_named_after_the_user_unless_it_has_a_name() {
        let named = |pairs: &[_]| read(pairs).unwrap().database;
        assert_eq!(named(&[("POSTGRES_USER", "todo")]), "todo");
        assert_eq!(
            named(&[("POSTGRES_USER", "todo"), ("POSTGRES_DB", "list")]),
            "list"
        );
    }

    #[test]
    fn a_value_may_be_in_a_file_and_its_last_newline_is_not_part_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "top secret \n").unwrap();
        let settings = read(&[("POSTGRES_PASSWORD_FILE", file.to_str().unwrap())]).unwrap();
        assert_eq!(settings.password_line().unwrap(), "top secret \n");
        assert!(!format!("{settings:?}").contains("top secret"));
    }

    #[test]
    fn arguments_for_initdb_are_taken_apart_as_a_shell_would() {
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
    fn mistakes_name_the_variable() {
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
    fn only_trust_needs_no_password() {
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
