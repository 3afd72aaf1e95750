//! The program: a container's first process, until it has become the server. `selfheal` contains it too.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::EntryError;

/// A shell's exit code for a command that it cannot find.
const NOT_FOUND: u8 = 127;

/// Runs the program with this process's arguments; returns only if it cannot become the server.
#[must_use]
pub fn main() -> ExitCode {
    let error = match crate::run(std::env::args_os().skip(1).collect()) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    // A log that cannot be written to changes nothing.
    let _ = writeln!(io::stderr(), "todo-db: {error}");
    match error {
        EntryError::NotFound(_) => ExitCode::from(NOT_FOUND),
        _ => ExitCode::FAILURE,
    }
}
