//! What PostgreSQL's image begins with, after the documented contract of the official image: the first start makes a
//! database from the environment, every start leaves root behind and becomes the server.
//!
//! The same program is the entrypoint of the embedded node's `postgres:*` and of the image made from Debian's packages.

mod data;
pub mod installation;
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

use programs::Programs;
use settings::{Settings, SettingsError};

/// Why the server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// The environment asks for something impossible.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Something of the system's refused.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: String,
        /// The system's word.
        source: io::Error,
    },
    /// One of PostgreSQL's programs, or a script, failed.
    #[error("{program} failed ({status}); what it said stands above")]
    Failed {
        /// Which.
        program: String,
        /// How it ended.
        status: String,
    },
    /// The folder for data has something else in it.
    #[error(
        "PGDATA {0:?} is not empty and holds no database; name an empty folder, or one within it"
    )]
    Foreign(PathBuf),
    /// The program to become is not there.
    #[error("exec: {0:?}: executable file not found in $PATH")]
    NotFound(String),
}

fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> EntryError {
    let doing = doing.into();
    move |source| EntryError::System { doing, source }
}

/// A word for whoever reads the log.
fn say(text: &str) {
    // A log that cannot be written to is no reason not to start.
    let _ = writeln!(io::stderr(), "todo-db: {text}");
}

/// Does what the arguments ask for, and returns only why it could not.
///
/// # Errors
/// See [`EntryError`].
pub fn run(arguments: Vec<OsString>) -> Result<Infallible, EntryError> {
    let programs = Programs::here();
    let command = command(arguments);
    let mut last = programs.command(&command[0]);
    last.args(&command[1..]);
    if serves(&command) {
        let settings = Settings::read(|name| std::env::var(name).ok())?;
        user::leave_root(&settings)?;
        if data::is_initialised(&settings.data) {
            say(
                "PostgreSQL Database directory appears to contain a database; Skipping initialization",
            );
        } else {
            initialise(&settings, &programs, &command[1..])?;
            say("PostgreSQL init process complete; ready for start up.");
        }
        last.env("PGDATA", &settings.data);
    }
    Err(cannot_become(&command[0], last.exec()))
}

fn cannot_become(program: &OsString, error: io::Error) -> EntryError {
    let name = program.to_string_lossy().into_owned();
    if error.kind() == io::ErrorKind::NotFound {
        EntryError::NotFound(name)
    } else {
        system(format!("exec: {name:?}"))(error)
    }
}

/// The command that is meant: options alone are the server's.
fn command(arguments: Vec<OsString>) -> Vec<OsString> {
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

/// Whether the command is a server's that serves, and not one that only tells something.
fn serves(command: &[OsString]) -> bool {
    const TELLS: [&str; 5] = ["-?", "--help", "--describe-config", "-V", "--version"];
    command.first().is_some_and(|program| program == "postgres")
        && !command
            .iter()
            .any(|argument| TELLS.iter().any(|word| argument == word))
}

/// Makes the database that the environment describes. Interrupted, it begins anew the next time.
fn initialise(
    settings: &Settings,
    programs: &Programs,
    options: &[OsString],
) -> Result<(), EntryError> {
    settings.check_password()?;
    let unfinished = data::begin(&settings.data)?;
    server::create(settings, programs, &unfinished)?;
    let server = server::Temporary::start(settings, programs, options)?;
    server.create_database()?;
    scripts::run_all(&server)?;
    server.stop()?;
    data::finished(&unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn options_alone_are_the_servers_and_a_program_is_itself() {
        for (given, meant, is_server) in [
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
            let command = command(words(given));
            assert_eq!(command, words(meant), "{given}");
            assert_eq!(serves(&command), is_server, "{given}");
        }
    }
}
