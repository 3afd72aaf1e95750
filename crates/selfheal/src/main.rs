//! The command line: starts a node, runs the self-healing exercises on it or elsewhere, and compares what they showed.
//!
//! Only here are signals and the exit code known.

mod cli;
mod compare;
mod completions;
mod embedded;
mod exercise;
mod exit;
#[cfg(target_os = "linux")]
mod postgresql;
mod recording;
mod simulated;
mod up;
#[cfg(target_os = "linux")]
mod workloads;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime::{Builder, Runtime};
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::embedded::Place;
use crate::exit::Exit;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if let Some(code) = workloads::dispatch().or_else(node::runtime::local::dispatch) {
        return code;
    }
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let inside = arguments
        .get(1)
        .is_some_and(|first| first == embedded::INSIDE);
    if inside {
        arguments.remove(1);
    }
    let cli = cli::Cli::parse_from(&arguments);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(log_filter())
        .with(layer)
        .init();
    // Namespaces are made before there is a second thread.
    let place = match embedded::place(&cli, inside, &arguments) {
        Ok(Place::Here(place)) => place,
        Ok(Place::Ended(code)) => return code,
        Err(error) => return not_run(&error),
    };
    match runtime(cli.is_simulated()).map(|runtime| runtime.block_on(run(cli, place))) {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(error)) => not_run(&error),
        Err(error) => not_run(&error.into()),
    }
}

/// Virtual time needs one thread: it may pass only when nobody has anything to do.
/// What `RUST_LOG` asks for; errors only, where it is unset or no filter.
fn log_filter() -> Targets {
    let asked = std::env::var("RUST_LOG").ok();
    asked
        .and_then(|filter| filter.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::ERROR))
}

fn runtime(simulated: bool) -> std::io::Result<Runtime> {
    let mut builder = if simulated {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder.enable_all().start_paused(simulated).build()
}

async fn run(cli: cli::Cli, place: Option<PathBuf>) -> anyhow::Result<Exit> {
    let stop = CancellationToken::new();
    tokio::spawn(cancel_on_interrupt(stop.clone()));
    cli::run(cli, place.as_deref(), &stop).await
}

fn not_run(error: &anyhow::Error) -> ExitCode {
    // Standard error may be gone; the exit code still says it.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    Exit::NotRun.into()
}

async fn cancel_on_interrupt(stop: CancellationToken) {
    let terminated = async {
        #[cfg(unix)]
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => {
            if interrupted.is_err() {
                return;
            }
        }
        () = terminated => {}
    }
    stop.cancel();
}
