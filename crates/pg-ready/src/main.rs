//! Is PostgreSQL ready? pg_isready's contract.

use std::io::{stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use pg_ready::verdict::Verdict;

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let program = Path::new(&called)
        .file_name()
        .unwrap_or("pg-ready".as_ref())
        .to_string_lossy()
        .into_owned();
    let verdict = pg_ready::cli::run(
        &program,
        std::env::args_os(),
        |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
        &mut stdout().lock(),
        &mut stderr().lock(),
    );
    // A closed output changes nothing about the server, but nobody heard the answer.
    ExitCode::from(verdict.unwrap_or(Verdict::NoAttempt).exit_code())
}
