//! The program: the first process of a container, until it executes the server. `selfheal` contains it too.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::EntryError;

/// Exit code of a shell for a command that does not exist.
const NOT_FOUND: u8 = 127;
/// Exit code of a shell for a command that signal 0 terminates.
const SIGNAL_BASE: i32 = 128;

/// Runs the program with this process's arguments; returns only if the server could not be executed.
#[must_use]
pub fn main() -> ExitCode {
    let error = match crate::run(std::env::args_os().skip(1).collect()) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    // A log that cannot be written does not change the exit code.
    let _ = writeln!(io::stderr(), "todo-db: {error}");
    match error {
        EntryError::NotFound(_) => ExitCode::from(NOT_FOUND),
        EntryError::Interrupted(signal) => {
            u8::try_from(SIGNAL_BASE + signal).map_or(ExitCode::FAILURE, ExitCode::from)
        }
        _ => ExitCode::FAILURE,
    }
}
