//! What is asked of whom.

use std::path::Path;
use std::time::Duration;

use crate::check::Check;
use crate::conninfo::{self, ConninfoError, Settings};
use crate::password::{PasswordError, Passwords};
use crate::service_file::{self, ServiceError};
use crate::target::{Plan, PlanError};
use crate::tls::TlsSettings;

/// How long an attempt may take unless something else is asked for: pg_isready's.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);
/// Whom the library names to a server if nobody is named: the superuser of most servers.
const DEFAULT_ROLE: &str = "postgres";

/// One question, ready to be asked as often as need be.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) plan: Plan,
    pub(crate) tls: TlsSettings,
    pub(crate) passwords: Passwords,
    pub(crate) options: Option<String>,
    pub(crate) checks: Vec<Check>,
    pub(crate) timeout: Option<Duration>,
}

/// Settings that make no question.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The connection string.
    #[error(transparent)]
    Conninfo(#[from] ConninfoError),
    /// The servers or the role.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The service.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The password.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

impl Request {
    /// Asks as a connection string says. The environment has no part in it; a service or a password file has if the
    /// string names it.
    ///
    /// # Errors
    /// When the string, or a file that it names, makes no sense.
    pub fn parse(conninfo: &str) -> Result<Self, RequestError> {
        let given = conninfo::parse(conninfo)?;
        let mut settings = match given.get("service") {
            Some(service) => service_file::load(service, |_| None)?,
            None => Settings::new(),
        };
        settings.extend(given);
        Self::new(&settings, None, || Ok(DEFAULT_ROLE.to_owned()))
    }

    /// Asks as the settings say; files in their usual places are looked for in `home`.
    ///
    /// # Errors
    /// When they make no sense.
    pub fn new(
        settings: &Settings,
        home: Option<&Path>,
        os_user: impl FnOnce() -> Result<String, u32>,
    ) -> Result<Self, RequestError> {
        let get = |name: &str| settings.get(name).filter(|value| !value.is_empty());
        let request = Self::without_password(settings, home, os_user)?;
        let passwords = match (get("password"), get("passfile"), home) {
            (Some(password), _, _) => Passwords::given(password.clone()),
            (None, Some(file), _) => Passwords::from_pgpass(Path::new(file))?,
            (None, None, Some(home)) => Passwords::from_pgpass(&home.join(".pgpass"))?,
            (None, None, None) => Passwords::default(),
        };
        Ok(request.with_passwords(passwords))
    }

    /// Asks what no password is needed for; no file of passwords is looked at.
    ///
    /// # Errors
    /// When the settings make no sense.
    pub fn without_password(
        settings: &Settings,
        home: Option<&Path>,
        os_user: impl FnOnce() -> Result<String, u32>,
    ) -> Result<Self, RequestError> {
        let options = settings.get("options").filter(|value| !value.is_empty());
        Ok(Self {
            plan: Plan::new(settings, os_user)?,
            tls: TlsSettings::new(settings, home),
            passwords: Passwords::default(),
            options: options.cloned(),
            checks: Vec::new(),
            timeout: Some(DEFAULT_TIMEOUT),
        })
    }

    /// Asks for more than an answer.
    #[must_use]
    pub fn with_checks(mut self, checks: Vec<Check>) -> Self {
        self.checks = checks;
        self
    }

    /// Sets the deadline of a whole attempt; none waits for ever.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the passwords.
    #[must_use]
    pub fn with_passwords(mut self, passwords: Passwords) -> Self {
        self.passwords = passwords;
        self
    }
}
