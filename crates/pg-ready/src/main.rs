//! The program `pg-ready`: is PostgreSQL ready? pg_isready's contract, and what pg_isready cannot tell.

use std::process::ExitCode;

fn main() -> ExitCode {
    pg_ready::program::main()
}
