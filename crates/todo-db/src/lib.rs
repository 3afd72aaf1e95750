//! Entrypoint of a PostgreSQL image, with the documented contract of the official image: the first start creates a database
//! from the environment; every start drops root's privileges and executes the server.
//!
//! The embedded node runs the same program for `postgres:*`, and so does the image made from Debian's packages.

mod data;
pub mod installation;
mod interrupt;
pub mod program;
mod programs;
mod scripts;
mod server;
pub mod settings;
mod user;

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;

use interrupt::Interrupt;
use programs::Programs;
use settings::{Settings, SettingsError};

/// Error of a server that was not started.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// The environment is invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// An operation of the operating system failed.
    #[error("{doing}: {source}")]
    System {
        /// The operation and its object.
        doing: String,
        /// The underlying OS error.
        source: io::Error,
    },
    /// One of PostgreSQL's programs, or a script, failed.
    #[error("{program} failed ({status}); see its output above")]
    Failed {
        /// Name of the program.
        program: String,
        /// Exit status.
        status: String,
    },
    /// A script needs bash, which is not installed.
    #[error(
        "{0:?} is a bash script, and bash is not installed: install bash, write the script for sh, \
         or make it executable with the interpreter that it needs"
    )]
    NoBash(PathBuf),
    /// The data directory has files that are not a database.
    #[error(
        "PGDATA {0:?} is not empty and has no database; use an empty directory, or one below it"
    )]
    DataDirNotEmpty(PathBuf),
    /// Another instance initializes the data directory.
    #[error(
        "PGDATA {0:?} is being initialized by another instance; stop that one, or start again when it is ready"
    )]
    DataDirLocked(PathBuf),
    /// A signal interrupted the initialization.
    #[error(
        "initialization interrupted by signal {0}; the next start initializes the database again"
    )]
    Interrupted(i32),
    /// The program to execute does not exist.
    #[error("exec: {0:?}: executable file not found in $PATH")]
    NotFound(String),
}

fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> EntryError {
    let doing = doing.into();
    move |source| EntryError::System { doing, source }
}

fn log(message: &str) {
    // The server starts even if its log cannot be written.
    let _ = writeln!(io::stderr(), "todo-db: {message}");
}

/// Executes the command of the arguments, after the preparation of a server; returns only on failure.
///
/// # Errors
/// See [`EntryError`].
pub fn run(arguments: Vec<OsString>) -> Result<Infallible, EntryError> {
    let command = parse_command(arguments);
    let mut programs = Programs::discover();
    if starts_server(&command) {
        let settings = Settings::read(|name| std::env::var(name).ok())?;
        user::drop_privileges(&settings)?;
        if data::is_initialized(&settings.data) {
            log(
                "PostgreSQL Database directory appears to contain a database; Skipping initialization",
            );
        } else {
            // A thread handles the signals: only a process with one thread can create the user namespace above.
            programs.interrupt = Interrupt::listen().map_err(system("handling signals"))?;
            initialize(&settings, &programs, &command[1..])?;
            log("PostgreSQL init process complete; ready for start up.");
        }
        let mut server = programs.command(&command[0]);
        server.args(&command[1..]).env("PGDATA", &settings.data);
        programs.interrupt.check()?;
        return Err(exec_error(&command[0], server.exec()));
    }
    let mut program = programs.command(&command[0]);
    Err(exec_error(&command[0], program.args(&command[1..]).exec()))
}

fn exec_error(program: &OsString, error: io::Error) -> EntryError {
    let name = program.to_string_lossy().into_owned();
    if error.kind() == io::ErrorKind::NotFound {
        EntryError::NotFound(name)
    } else {
        system(format!("exec: {name:?}"))(error)
    }
}

/// Returns the command to execute. Arguments without a program are options of the server.
fn parse_command(arguments: Vec<OsString>) -> Vec<OsString> {
    let is_program = arguments
        .first()
        .is_some_and(|first| !first.to_string_lossy().starts_with('-'));
    if is_program {
        return arguments;
    }
    std::iter::once(OsString::from("postgres"))
        .chain(arguments)
        .collect()
}

/// Options with which the server prints information and exits.
const INFO_ONLY_FLAGS: [&str; 5] = ["-?", "--help", "--describe-config", "-V", "--version"];

/// Returns `true` if the command starts a server that accepts connections.
fn starts_server(command: &[OsString]) -> bool {
    let is_info_only = |argument: &OsString| INFO_ONLY_FLAGS.iter().any(|flag| argument == flag);
    command.first().is_some_and(|program| program == "postgres")
        && !command.iter().any(is_info_only)
}

/// Creates the database that the environment describes.
fn initialize(
    settings: &Settings,
    programs: &Programs,
    options: &[OsString],
) -> Result<(), EntryError> {
    settings.check_password()?;
    // An unreadable directory is reported before a database without its scripts is created.
    let scripts = scripts::list(&settings.scripts)?;
    let initialization = data::Initialization::begin(&settings.data)?;
    server::create(settings, programs, options, &initialization)?;
    let server = server::Temporary::start(settings, programs, options)?;
    server.create_database()?;
    scripts::run_all(&server, &scripts)?;
    server.stop()?;
    initialization.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn arguments_without_a_program_are_options_of_the_server() {
        for (arguments, expected, is_server) in [
            ("", "postgres", true),
            ("postgres", "postgres", true),
            (
                "-c shared_buffers=1MB",
                "postgres -c shared_buffers=1MB",
                true,
            ),
            ("postgres -c a=b", "postgres -c a=b", true),
            ("--version", "postgres --version", false),
            ("postgres -?", "postgres -?", false),
            ("sleep 30m", "sleep 30m", false),
            ("psql -c select", "psql -c select", false),
        ] {
            let command = parse_command(words(arguments));
            assert_eq!(command, words(expected), "{arguments}");
            assert_eq!(starts_server(&command), is_server, "{arguments}");
        }
    }
}
