//! `pg-ready`: checks whether a PostgreSQL server accepts connections.

use std::process::ExitCode;

fn main() -> ExitCode {
    pg_ready::program::main()
}
