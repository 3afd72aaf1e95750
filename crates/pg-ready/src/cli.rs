//! The command line: pg_isready's options, its environment, its line of output and its exit codes.

use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};
use nix::unistd::{Uid, User};

use crate::conninfo::{self, Settings};
use crate::target::{DEFAULT_SOCKET_FOLDER, Plan};
use crate::verdict::Verdict;

mod options;

use options::Options;
pub use options::UsageError;

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
) -> std::io::Result<Verdict> {
    let options = match Options::parse(arguments) {
        Ok(Options { help: true, .. }) => {
            write!(out, "{}", options::help(program))?;
            return Ok(Verdict::Accepting);
        }
        Ok(Options { version: true, .. }) => {
            writeln!(
                out,
                "{program} (PostgreSQL) selfheal {}",
                env!("CARGO_PKG_VERSION")
            )?;
            return Ok(Verdict::Accepting);
        }
        Ok(options) => options,
        Err(error) => {
            writeln!(err, "{program}: error: {error}")?;
            writeln!(
                err,
                "{program}: hint: Try \"{program} --help\" for more information."
            )?;
            return Ok(Verdict::NoAttempt);
        }
    };
    let environment = conninfo::from_environment(environment);
    let given = match options.connection_string() {
        Ok(given) => given,
        Err(error) => {
            writeln!(err, "{program}: error: {error}")?;
            return Ok(Verdict::NoAttempt);
        }
    };
    let verdict = check(program, &options, &given, &environment, err)?;
    if !options.quiet {
        writeln!(out, "{} - {verdict}", label(&options, &given, &environment))?;
    }
    Ok(verdict)
}

fn check(
    program: &str,
    options: &Options,
    given: &Settings,
    environment: &Settings,
    err: &mut impl Write,
) -> std::io::Result<Verdict> {
    let mut settings = environment.clone();
    settings.insert("fallback_application_name", program.to_owned());
    settings.extend(options.settings());
    settings.extend(
        given
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (*name, value.clone())),
    );
    let plan = match Plan::new(&settings, os_user) {
        Ok(plan) => plan,
        Err(error) => {
            writeln!(err, "{program}: error: {error}")?;
            return Ok(Verdict::NoAttempt);
        }
    };
    Ok(match options.timeout() {
        Ok(timeout) => crate::ping::ping(&plan, timeout),
        // libpq reads the timeout only when it connects, and so its answer is that nobody answered.
        Err(error) => {
            writeln!(err, "{program}: error: {error}")?;
            Verdict::NoResponse
        }
    })
}

/// The server as pg_isready names it: as it was asked for, not as it was found.
fn label(options: &Options, given: &Settings, environment: &Settings) -> String {
    let host = given
        .get("hostaddr")
        .or(environment.get("hostaddr"))
        .or(given.get("host"))
        .or(options.host.as_ref())
        .or(environment.get("host"));
    let port = given
        .get("port")
        .or(options.port.as_ref())
        .or(environment.get("port"));
    format!(
        "{}:{}",
        host.map_or(DEFAULT_SOCKET_FOLDER, String::as_str),
        port.map_or("5432", String::as_str)
    )
}

fn os_user() -> Result<String, u32> {
    let uid = Uid::effective();
    match User::from_uid(uid) {
        Ok(Some(user)) => Ok(user.name),
        _ => Err(uid.as_raw()),
    }
}

/// libpq's shortest timeout: less would often fail for no other reason than rounding.
const SHORTEST: Duration = Duration::from_secs(2);
