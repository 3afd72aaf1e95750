//! The container's first process, until it has become the server.

use std::io::{self, Write as _};
use std::process::ExitCode;

use todo_db::EntryError;

/// What a shell says of a command that it cannot find.
const NOT_FOUND: u8 = 127;

fn main() -> ExitCode {
    let error = match todo_db::run(std::env::args_os().skip(1).collect()) {
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
