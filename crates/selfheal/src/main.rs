//! Command line: starts a node, runs the self-healing exercises on it or on a cluster, and compares their recordings.
//!
//! Signals and the exit code are handled only here.

mod cli;
mod columns;
mod completions;
mod doctor;
mod embedded;
mod exercise;
mod exit;
#[cfg(target_os = "linux")]
mod postgresql;
mod preflight;
mod recording;
mod simulated;
mod up;
#[cfg(target_os = "linux")]
mod workloads;

use std::io::{IsTerminal as _, Write as _};
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

use crate::embedded::Entered;
use crate::exit::Exit;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if let Some(code) = workloads::dispatch().or_else(container_runtime::local::dispatch) {
        return code;
    }
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let is_inside = arguments
        .get(1)
        .is_some_and(|first| first == embedded::NODE_ROLE);
    if is_inside {
        arguments.remove(1);
    }
    let mut cli = cli::Cli::parse_from(&arguments);
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(has_colors())
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(log_filter())
        .with(layer)
        .init();
    // Namespaces can be entered only before a second thread starts.
    let dir = match embedded::enter_namespaces(&mut cli, is_inside, &arguments) {
        Ok(Entered::Continue(dir)) => dir,
        Ok(Entered::Exited(code)) => return code,
        Err(error) => return fail(&error),
    };
    let runtime = match runtime(cli.is_simulated()) {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let result = runtime.block_on(run(cli, dir));
    // A task that blocks does not keep an interrupted command from exiting.
    runtime.shutdown_background();
    result.map_or_else(|error| fail(&error), ExitCode::from)
}

/// Returns `true` if log lines may have colors: standard error is a terminal and `NO_COLOR` is not set.
fn has_colors() -> bool {
    let is_disabled = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !is_disabled
}

/// Returns the filter of `RUST_LOG`; errors only, if it is unset or not valid.
fn log_filter() -> Targets {
    let value = std::env::var("RUST_LOG").ok();
    value
        .and_then(|filter| filter.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::ERROR))
}

/// Creates the runtime. Virtual time needs one thread: it advances when every task waits.
fn runtime(is_simulated: bool) -> std::io::Result<Runtime> {
    let mut builder = if is_simulated {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder.enable_all().start_paused(is_simulated).build()
}

async fn run(cli: cli::Cli, dir: Option<PathBuf>) -> anyhow::Result<Exit> {
    let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
    tokio::spawn(cancel_on_signals(stop.clone(), abort.clone()));
    tokio::select! {
        biased;
        () = abort.cancelled() => Ok(Exit::Interrupted),
        result = cli::run(cli, dir.as_deref(), &stop) => result,
    }
}

/// Prints the error, unless it is that the reader of the output has closed it.
fn fail(error: &anyhow::Error) -> ExitCode {
    if !exercise::runner::is_broken_pipe(error) {
        // Standard error may be closed; the exit code reports the error as well.
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
    }
    Exit::Error.into()
}

/// Cancels `stop` at the first SIGINT or SIGTERM, and `abort` at the second.
async fn cancel_on_signals(stop: CancellationToken, abort: CancellationToken) {
    for token in [stop, abort] {
        if !next_signal().await {
            return;
        }
        token.cancel();
    }
}

/// Waits for SIGINT or SIGTERM; returns `false` if signals cannot be received.
#[cfg(unix)]
async fn next_signal() -> bool {
    let streams = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate)] = streams else {
        return false;
    };
    tokio::select! {
        received = interrupt.recv() => received.is_some(),
        received = terminate.recv() => received.is_some(),
    }
}

#[cfg(not(unix))]
async fn next_signal() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}
