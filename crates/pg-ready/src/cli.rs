//! The command line: pg_isready's options, its environment, its line of output and its exit codes; and, unless it is
//! called `pg_isready`, what pg_isready cannot do.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Uid, User};

use crate::conninfo::{self, Settings};
use crate::request::{Request, RequestError};
use crate::service_file::{self, ServiceError};
use crate::target::{DEFAULT_SOCKET_FOLDER, Plan};
use crate::verdict::Verdict;

mod beyond;
mod help;
mod options;

use options::Options;
pub use options::UsageError;

/// libpq's shortest timeout: less would often fail for no other reason than rounding.
const SHORTEST: Duration = Duration::from_secs(2);
/// The name under which nothing but the contract is known.
const PG_ISREADY: &str = "pg_isready";

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// With an answer.
    Verdict(Verdict),
    /// Ready, and this is to be run in its place.
    Run(Vec<OsString>),
}

/// Runs one check and says what it found on `out`; what is wrong with the command goes to `err`.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub fn run(
    program: &str,
    arguments: impl Iterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> std::io::Result<Ended> {
    let verdict = |verdict| Ok(Ended::Verdict(verdict));
    let options = match Options::parse(arguments, program != PG_ISREADY) {
        Ok(Options { help: true, .. }) => {
            write!(out, "{}", help::text(program, program != PG_ISREADY))?;
            return verdict(Verdict::Accepting);
        }
        Ok(Options { version: true, .. }) => {
            let version = env!("CARGO_PKG_VERSION");
            writeln!(out, "{program} (PostgreSQL) selfheal {version}")?;
            return verdict(Verdict::Accepting);
        }
        Ok(options) => options,
        Err(error) => {
            writeln!(err, "{program}: error: {error}")?;
            writeln!(
                err,
                "{program}: hint: Try \"{program} --help\" for more information."
            )?;
            return verdict(Verdict::NoAttempt);
        }
    };
    let given = match options.connection_string() {
        Ok(given) => given,
        Err(error) => {
            writeln!(err, "{program}: error: {error}")?;
            return verdict(Verdict::NoAttempt);
        }
    };
    let asked = Asked::new(program, options, given, &environment);
    if asked.options.goes_beyond() {
        return beyond::run(&asked, out, err);
    }
    let found = asked.check(err)?;
    if !asked.options.quiet {
        writeln!(out, "{} - {found}", asked.label())?;
    }
    verdict(found)
}

/// The command line and its surroundings.
struct Asked<'a> {
    program: &'a str,
    options: Options,
    /// The connection string.
    given: Settings,
    /// The environment, and the service that it names.
    environment: Settings,
    service: Result<Settings, ServiceError>,
    home: Option<PathBuf>,
}

impl<'a> Asked<'a> {
    fn new(
        program: &'a str,
        options: Options,
        given: Settings,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut environment = conninfo::from_environment(variable);
        let named = variable("PGSERVICE");
        if let Some(Ok(settings)) = named
            .as_deref()
            .map(|name| service_file::load(name, variable))
        {
            environment.extend(settings);
        }
        let service = match given.get("service").cloned().or(named) {
            Some(name) => service_file::load(&name, variable),
            None => Ok(Settings::new()),
        };
        Self {
            program,
            options,
            given,
            environment,
            service,
            home: variable("HOME").map(PathBuf::from),
        }
    }

    /// All settings, in libpq's order of precedence.
    fn settings(&self) -> Result<Settings, ServiceError> {
        let mut settings = self.environment.clone();
        settings.extend(self.service.clone()?);
        settings.insert("fallback_application_name", self.program.to_owned());
        settings.extend(self.options.settings());
        // Other than an option's, an empty value of the connection string counts: it takes the environment's away.
        settings.extend(self.given.clone());
        Ok(settings)
    }

    fn request(&self) -> Result<Request, RequestError> {
        let request = Request::new(&self.settings()?, self.home.as_deref(), os_user)?;
        Ok(match &self.options.password_file {
            Some(file) => {
                request.with_passwords(crate::password::Passwords::from_secret(Path::new(file))?)
            }
            None => request,
        })
    }

    /// The contract's check.
    fn check(&self, err: &mut impl Write) -> std::io::Result<Verdict> {
        let program = self.program;
        let plan = self.settings().map_err(RequestError::from);
        let plan = plan.and_then(|settings| Ok(Plan::new(&settings, os_user)?));
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => {
                writeln!(err, "{program}: error: {error}")?;
                return Ok(Verdict::NoAttempt);
            }
        };
        let timeout = match self.options.timeout() {
            Ok(timeout) => timeout,
            // libpq reads the timeout only when it connects, and so its answer is that nobody answered.
            Err(error) => {
                writeln!(err, "{program}: error: {error}")?;
                return Ok(Verdict::NoResponse);
            }
        };
        if plan.needs_tls {
            return beyond::contract_over_tls(self, &plan, timeout, err);
        }
        Ok(crate::ping::ping(&plan, timeout))
    }

    /// The server as pg_isready names it: as it was asked for, not as it was found.
    fn label(&self) -> String {
        let (given, environment) = (&self.given, &self.environment);
        let host = given
            .get("hostaddr")
            .or(environment.get("hostaddr"))
            .or(given.get("host"))
            .or(self.options.host.as_ref())
            .or(environment.get("host"));
        let port = given
            .get("port")
            .or(self.options.port.as_ref())
            .or(environment.get("port"));
        format!(
            "{}:{}",
            host.map_or(DEFAULT_SOCKET_FOLDER, String::as_str),
            port.map_or("5432", String::as_str)
        )
    }
}

/// The role to name if none is named.
///
/// For root it is not `root`, as for pg_isready: that role exists nowhere, and a server that trusts would log a failure
/// for every check. The contract's answer is the same for any role.
fn os_user() -> Result<String, u32> {
    let uid = Uid::effective();
    if uid.is_root() {
        return Ok("postgres".to_owned());
    }
    match User::from_uid(uid) {
        Ok(Some(user)) => Ok(user.name),
        _ => Err(uid.as_raw()),
    }
}
