//! The command line: runs the self-healing exercises.
//!
//! Only here are signals and the exit code known.

mod cli;
mod exercise;
mod exit;
mod simulated;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::exit::Exit;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match runtime(cli.is_simulated()).map(|runtime| runtime.block_on(run(cli))) {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(error)) => not_run(&error),
        Err(error) => not_run(&error.into()),
    }
}

/// Virtual time needs one thread: it may pass only when nobody has anything to do.
fn runtime(simulated: bool) -> std::io::Result<Runtime> {
    let mut builder = if simulated {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder.enable_all().start_paused(simulated).build()
}

async fn run(cli: cli::Cli) -> anyhow::Result<Exit> {
    let stop = CancellationToken::new();
    tokio::spawn(cancel_on_interrupt(stop.clone()));
    cli::run(cli, &stop).await
}

fn not_run(error: &anyhow::Error) -> ExitCode {
    // Standard error may be gone; the exit code still says it.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    Exit::NotRun.into()
}

async fn cancel_on_interrupt(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.cancel();
    }
}
