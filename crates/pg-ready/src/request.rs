//! The servers to check, and the way in which they are checked.

use std::path::Path;
use std::time::Duration;

use crate::check::Check;
use crate::conninfo::{self, ConninfoError, Settings};
use crate::password::{PasswordError, Passwords};
use crate::service_file;
pub use crate::service_file::ServiceError;
use crate::target::Plan;
pub use crate::target::PlanError;
use crate::tls::TlsSettings;

/// Timeout of a request, the default of `pg_isready`.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);
/// Role of [`Request::parse`] if the connection string contains none: the superuser of most servers.
const DEFAULT_ROLE: &str = "postgres";

/// Settings of a check. A request can be used for any number of checks.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) plan: Plan,
    pub(crate) tls: TlsSettings,
    pub(crate) passwords: Passwords,
    pub(crate) options: Option<String>,
    pub(crate) checks: Vec<Check>,
    pub(crate) timeout: Option<Duration>,
}

/// Invalid settings of a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The connection string cannot be parsed.
    #[error(transparent)]
    Conninfo(#[from] ConninfoError),
    /// A setting is invalid.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The service is not defined, or its file is invalid.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The password file cannot be used.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

impl Request {
    /// Parses a libpq connection string: `key=value` pairs or a URI.
    ///
    /// Environment variables and the files in `~` have no effect. The string may name a service or a password file; the
    /// role defaults to `postgres`.
    ///
    /// # Errors
    /// If the string, or a file that it names, is invalid.
    pub fn parse(conninfo: &str) -> Result<Self, RequestError> {
        let given = conninfo::parse(conninfo)?;
        let mut settings = match given.get("service") {
            Some(service) => service_file::load(service, |_| None)?,
            None => Settings::new(),
        };
        settings.extend(given);
        Self::from_settings(&settings, None, || Ok(DEFAULT_ROLE.to_owned()))
    }

    /// Creates a request from libpq settings.
    ///
    /// `home` is the directory of `.pgpass` and `.postgresql`. `default_role` returns the role if the settings contain
    /// none, or the ID of the operating system's user if that user has no name.
    ///
    /// # Errors
    /// If a setting, or a file that it names, is invalid.
    pub fn from_settings(
        settings: &Settings,
        home: Option<&Path>,
        default_role: impl FnOnce() -> Result<String, u32>,
    ) -> Result<Self, RequestError> {
        let get = |name: &str| settings.get(name).filter(|value| !value.is_empty());
        let request = Self::without_passwords(settings, home, default_role)?;
        let passwords = match (get("password"), get("passfile"), home) {
            (Some(password), _, _) => Passwords::from_password(password.clone()),
            (None, Some(file), _) => Passwords::from_pgpass_file(Path::new(file))?,
            (None, None, Some(home)) => Passwords::from_pgpass_file(&home.join(".pgpass"))?,
            (None, None, None) => Passwords::default(),
        };
        Ok(request.with_passwords(passwords))
    }

    /// Creates a request that does not log in, so that no password file is read.
    pub(crate) fn without_passwords(
        settings: &Settings,
        home: Option<&Path>,
        default_role: impl FnOnce() -> Result<String, u32>,
    ) -> Result<Self, RequestError> {
        let options = settings.get("options").filter(|value| !value.is_empty());
        Ok(Self {
            plan: Plan::new(settings, default_role)?,
            tls: TlsSettings::new(settings, home),
            passwords: Passwords::default(),
            options: options.cloned(),
            checks: Vec::new(),
            timeout: Some(DEFAULT_TIMEOUT),
        })
    }

    /// Sets the checks that [`crate::check()`] runs after a login; without checks it does not log in.
    #[must_use]
    pub fn with_checks(mut self, checks: Vec<Check>) -> Self {
        self.checks = checks;
        self
    }

    /// Sets the timeout, by default [`DEFAULT_TIMEOUT`]; `None` disables it.
    ///
    /// For [`crate::check()`] it limits the whole attempt, for [`crate::pg_isready()`] each address.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Replaces the passwords that the settings contain.
    #[must_use]
    pub fn with_passwords(mut self, passwords: Passwords) -> Self {
        self.passwords = passwords;
        self
    }
}
