//! The program: reads settings, handles signals, serves, and returns the exit code. `selfheal` contains it too.

use std::io;
use std::process::ExitCode;

use crate::Args;
use crate::settings::Settings;
use anyhow::Context;
use http_service::ShutdownOutcome;
use tokio::runtime::{Builder, Runtime};

/// Exit code for invalid settings of files, which is clap's for flags.
const INVALID_SETTINGS: u8 = 2;

/// Runs the program with this process's arguments; returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let args: Args = match http_service::args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => return http_service::args::report(&error),
    };
    if let Err(error) = args.service.init_log() {
        tracing::error!(%error, "cannot initialize the log");
        return ExitCode::FAILURE;
    }
    let settings = match Settings::load(&args, std::env::vars()) {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::from(INVALID_SETTINGS);
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

/// The default is one thread: a request mostly waits for the database, and passing it between threads takes as long as its
/// work.
fn runtime(threads: u16) -> io::Result<Runtime> {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads.into()).enable_all().build()
}

async fn serve(args: &Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let shutdown = args.service.shutdown();
    let signals = http_service::signal::listen(&shutdown).context("cannot handle signals")?;
    Ok(match crate::run(args, settings, &shutdown).await? {
        ShutdownOutcome::Drained => ExitCode::SUCCESS,
        ShutdownOutcome::DeadlinePassed { open } => {
            tracing::warn!(open, "shutdown grace expired: open connections closed");
            ExitCode::FAILURE
        }
        ShutdownOutcome::Aborted { .. } => ExitCode::from(signals.exit_code()),
    })
}
