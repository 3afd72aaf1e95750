//! The program `postgresql-packages`: fills a user's cache, or the root of the image todo-db.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Unpacks PostgreSQL from the packages of Debian or Ubuntu, without installing them.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fills the user's cache if the host has no PostgreSQL; prints the directory of its programs.
    Provide,
    /// Fills a directory with the root of the image todo-db.
    Root {
        /// Major version of the server, such as 15.
        major: u32,
        /// The program todo-db.
        entrypoint: PathBuf,
        /// The program pg-ready.
        pg_ready: PathBuf,
        /// Directory to fill; it is created.
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; the exit code remains.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), selfheal_postgresql_packages::Error> {
    match command {
        Command::Provide => {
            let found = selfheal_postgresql_packages::provide(&mut io::stderr())?;
            let _ = writeln!(io::stdout(), "{}", found.bin.display());
            Ok(())
        }
        Command::Root {
            major,
            entrypoint,
            pg_ready,
            dir,
        } => selfheal_postgresql_packages::build_root(*major, entrypoint, pg_ready, dir),
    }
}
