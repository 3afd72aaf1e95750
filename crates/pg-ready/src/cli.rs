//! The command line: options, environment, output and exit codes of `pg_isready`, and extensions.
//!
//! A program that is installed as `pg_isready` has no extensions.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Uid, User};

use crate::conninfo::{self, Settings};
use crate::password::Passwords;
use crate::ping_status::PingStatus;
use crate::report::Report;
use crate::request::{Request, RequestError, ServiceError};
use crate::service_file;
use crate::target::DEFAULT_SOCKET_DIR;

mod extended;
mod help;
mod options;

use options::{OptionSet, Options};

/// libpq's minimum of `connect_timeout`: a shorter one would often expire because of rounding to whole seconds.
const MIN_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Program name that disables the extensions.
const PG_ISREADY: &str = "pg_isready";

/// Result of a run.
#[derive(Debug)]
pub(crate) enum CliOutcome {
    /// Exit with the code of this status.
    Status(PingStatus),
    /// The server is ready: replace this process by the command.
    Exec(Vec<OsString>),
}

/// Parses the arguments and runs the check; writes the result to `out` and errors to `err`, and fails if either cannot
/// be written.
pub(crate) fn run(
    program: &str,
    arguments: impl Iterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<CliOutcome> {
    let exit = |status| Ok(CliOutcome::Status(status));
    let option_set = if program == PG_ISREADY {
        OptionSet::PgIsready
    } else {
        OptionSet::Extended
    };
    let arguments: Vec<_> = arguments.collect();
    let wants_json = option_set == OptionSet::Extended && options::requests_json(&arguments);
    let options = match Options::parse(arguments, option_set) {
        Ok(Options { help: true, .. }) => {
            write!(out, "{}", help::help_text(program, option_set))?;
            return exit(PingStatus::Ok);
        }
        Ok(Options { version: true, .. }) => {
            let version = env!("CARGO_PKG_VERSION");
            writeln!(out, "{program} (PostgreSQL) selfheal {version}")?;
            return exit(PingStatus::Ok);
        }
        Ok(options) => options,
        Err(error) => {
            writeln!(err, "{program}: error: {error}")?;
            writeln!(
                err,
                "{program}: hint: Try \"{program} --help\" for more information."
            )?;
            if wants_json {
                extended::print_json(&Report::no_attempt(error.to_string()), None, 0, out)?;
            }
            return exit(PingStatus::NoAttempt);
        }
    };
    let connection_string = match options.connection_string() {
        Ok(settings) => settings,
        Err(error) => {
            writeln!(err, "{program}: error: {error}")?;
            if wants_json {
                extended::print_json(&Report::no_attempt(error.to_string()), None, 0, out)?;
            }
            return exit(PingStatus::NoAttempt);
        }
    };
    let invocation = Invocation::new(program, options, connection_string, &environment);
    if invocation.options.uses_extended_options() {
        return extended::run(&invocation, out, err);
    }
    let status = invocation.run_pg_isready(err)?;
    if !invocation.options.quiet {
        writeln!(out, "{} - {status}", invocation.label())?;
    }
    exit(status)
}

/// The parsed command line, and the settings of all other sources.
struct Invocation<'a> {
    program: &'a str,
    options: Options,
    connection_string: Settings,
    /// Settings of the environment variables and of the service in `PGSERVICE`.
    environment: Settings,
    /// Settings of the service in the connection string or in `PGSERVICE`.
    service: Result<Settings, ServiceError>,
    home: Option<PathBuf>,
}

impl<'a> Invocation<'a> {
    fn new(
        program: &'a str,
        options: Options,
        connection_string: Settings,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut environment = conninfo::from_environment(variable);
        let pgservice = variable("PGSERVICE");
        if let Some(Ok(settings)) = pgservice
            .as_deref()
            .map(|name| service_file::load(name, variable))
        {
            environment.extend(settings);
        }
        let service = match connection_string.get("service").cloned().or(pgservice) {
            Some(name) => service_file::load(&name, variable),
            None => Ok(Settings::new()),
        };
        Self {
            program,
            options,
            connection_string,
            environment,
            service,
            home: variable("HOME").map(PathBuf::from),
        }
    }

    /// Returns all settings, combined in libpq's order of precedence.
    fn settings(&self) -> Result<Settings, ServiceError> {
        let mut settings = self.environment.clone();
        settings.extend(self.service.clone()?);
        settings.insert("fallback_application_name", self.program.to_owned());
        settings.extend(self.options.settings());
        // Unlike an option, an empty value in the connection string overrides the environment.
        settings.extend(self.connection_string.clone());
        Ok(settings)
    }

    fn request(&self) -> Result<Request, RequestError> {
        let request =
            Request::from_settings(&self.settings()?, self.home.as_deref(), default_role)?;
        Ok(match &self.options.password_file {
            Some(file) => request.with_passwords(Passwords::from_secret_file(Path::new(file))?),
            None => request,
        })
    }

    fn request_without_passwords(&self) -> Result<Request, RequestError> {
        Request::without_passwords(&self.settings()?, self.home.as_deref(), default_role)
    }

    /// Runs the check as `pg_isready` does.
    fn run_pg_isready(&self, err: &mut impl Write) -> io::Result<PingStatus> {
        let program = self.program;
        let request = match self.request_without_passwords() {
            Ok(request) => request,
            Err(error) => {
                writeln!(err, "{program}: error: {error}")?;
                return Ok(PingStatus::NoAttempt);
            }
        };
        let timeout = match self.options.connect_timeout() {
            Ok(timeout) => timeout,
            // libpq parses the timeout when it connects, so pg_isready reports no response.
            Err(error) => {
                writeln!(err, "{program}: error: {error}")?;
                return Ok(PingStatus::NoResponse);
            }
        };
        Ok(crate::pg_isready(&request.with_timeout(timeout)))
    }

    /// Returns `host:port` as `pg_isready` prints it: the requested values, not the resolved ones.
    fn label(&self) -> String {
        let (given, environment) = (&self.connection_string, &self.environment);
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
            host.map_or(DEFAULT_SOCKET_DIR, String::as_str),
            port.map_or("5432", String::as_str)
        )
    }
}

/// Returns the name of the operating system's user, or its ID if it has no name.
///
/// For root it is `postgres`, unlike in `pg_isready`: a role `root` usually does not exist, and a server with the
/// method `trust` would log an error for each check. The status is the same for any role.
fn default_role() -> Result<String, u32> {
    let uid = Uid::effective();
    if uid.is_root() {
        return Ok("postgres".to_owned());
    }
    match User::from_uid(uid) {
        Ok(Some(user)) => Ok(user.name),
        _ => Err(uid.as_raw()),
    }
}
