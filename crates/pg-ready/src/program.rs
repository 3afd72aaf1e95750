//! The program, which goes by the name it was called by. `selfheal` contains it too.

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _, stderr, stdout};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::cli::Ended;
use crate::verdict::Verdict;

/// Runs the program with this process's arguments and environment; returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let program = Path::new(&called)
        .file_name()
        .unwrap_or("pg-ready".as_ref())
        .to_string_lossy()
        .into_owned();
    let ended = crate::cli::run(
        &program,
        std::env::args_os(),
        |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
        &mut stdout().lock(),
        &mut stderr().lock(),
    );
    match ended {
        Ok(Ended::Verdict(verdict)) => ExitCode::from(verdict.exit_code()),
        Ok(Ended::Run(command)) => become_command(&program, &command),
        // A closed output changes nothing about the server, but nobody heard the answer.
        Err(_) => ExitCode::from(Verdict::NoAttempt.exit_code()),
    }
}

/// Returns only if it cannot, with a shell's exit codes.
fn become_command(program: &str, command: &[OsString]) -> ExitCode {
    let error = Command::new(&command[0]).args(&command[1..]).exec();
    let name = command[0].display();
    let _ = writeln!(stderr(), "{program}: error: could not run {name}: {error}");
    ExitCode::from(if error.kind() == ErrorKind::NotFound {
        127
    } else {
        126
    })
}
