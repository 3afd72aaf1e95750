//! The program `pg-ready`, also called `pg_isready`: its name is that of the first argument.

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _, stderr, stdout};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::cli::{self, CliOutcome};
use crate::ping_status::PingStatus;

/// A shell's exit code for a command that exists but cannot be executed.
const EXIT_CANNOT_EXECUTE: u8 = 126;
/// A shell's exit code for a command that does not exist.
const EXIT_NOT_FOUND: u8 = 127;

/// Runs the program with the arguments and environment of this process; returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let argv0 = std::env::args_os().next().unwrap_or_default();
    let program = Path::new(&argv0)
        .file_name()
        .unwrap_or("pg-ready".as_ref())
        .to_string_lossy()
        .into_owned();
    let outcome = cli::run(
        &program,
        std::env::args_os(),
        |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
        &mut stdout().lock(),
        &mut stderr().lock(),
    );
    match outcome {
        Ok(CliOutcome::Status(status)) => ExitCode::from(status.exit_code()),
        Ok(CliOutcome::Exec(command)) => exec(&program, &command),
        // The result could not be written, so no caller may rely on it.
        Err(_) => ExitCode::from(PingStatus::NoAttempt.exit_code()),
    }
}

/// Replaces this process by `command`; returns only if that fails.
fn exec(program: &str, command: &[OsString]) -> ExitCode {
    let error = Command::new(&command[0]).args(&command[1..]).exec();
    let name = command[0].display();
    let _ = writeln!(stderr(), "{program}: error: could not run {name}: {error}");
    ExitCode::from(if error.kind() == ErrorKind::NotFound {
        EXIT_NOT_FOUND
    } else {
        EXIT_CANNOT_EXECUTE
    })
}
