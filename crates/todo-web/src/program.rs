//! The program: reads settings, listens for signals, serves, and returns the exit code. `selfheal` contains it too.

use std::io;
use std::process::ExitCode;

use crate::Args;
use crate::settings::Settings;
use anyhow::Context;
use http_service::ShutdownOutcome;
use tokio::runtime::{Builder, Runtime};

/// As clap's own, for settings that come from files.
const BAD_SETTINGS: u8 = 2;

/// Runs the program with this process's arguments; returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let args: Args = match http_service::args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => return http_service::args::report(&error),
    };
    if let Err(error) = args.service.init_log() {
        tracing::error!(%error, "logs");
        return ExitCode::FAILURE;
    }
    let settings = match Settings::load(&args, std::env::vars()) {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    let served = runtime(args.threads)
        .context("cannot start threads")
        .and_then(|runtime| runtime.block_on(serve(&args, settings)));
    match served {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread is the rule: a request is little work and much waiting for the database, and to hand it from thread to thread
/// takes as long as the work.
fn runtime(threads: u16) -> io::Result<Runtime> {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads.into()).enable_all().build()
}

async fn serve(args: &Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let stop = args.service.shutdown();
    let signals = http_service::signal::listen(&stop).context("cannot listen for signals")?;
    Ok(match crate::run(args, settings, &stop).await? {
        ShutdownOutcome::Drained => ExitCode::SUCCESS,
        ShutdownOutcome::DeadlinePassed { open } => {
            tracing::warn!(open, "the grace ran out: connections dropped");
            ExitCode::FAILURE
        }
        ShutdownOutcome::Aborted { .. } => ExitCode::from(signals.exit_code()),
    })
}
