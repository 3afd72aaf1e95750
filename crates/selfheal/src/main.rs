//! The command line: runs the self-healing exercises.
//!
//! Only here are signals and the exit code known.

mod cli;
mod exercise;
mod exit;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::exit::Exit;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let stop = CancellationToken::new();
    tokio::spawn(cancel_on_interrupt(stop.clone()));
    match cli::run(cli, &stop).await {
        Ok(exit) => exit.into(),
        Err(error) => {
            // Standard error may be gone; the exit code still says it.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            Exit::NotRun.into()
        }
    }
}

async fn cancel_on_interrupt(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.cancel();
    }
}
