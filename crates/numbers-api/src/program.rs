//! The program: reads settings, handles signals, serves, and returns the exit code. `selfheal` contains it too.

use std::process::ExitCode;

use crate::{Args, Outcome};
use anyhow::Context;
use http_service::ShutdownOutcome;

/// Runs the program with this process's arguments; returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let args: Args = match http_service::args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => return http_service::args::report(&error),
    };
    match serve(&args) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(args: &Args) -> anyhow::Result<ExitCode> {
    args.service.init_log()?;
    let shutdown = args.service.shutdown();
    let signals = http_service::signal::listen(&shutdown).context("cannot handle signals")?;
    Ok(match crate::run(args, &shutdown).await? {
        Outcome::Stopped(ShutdownOutcome::Drained) => ExitCode::SUCCESS,
        Outcome::Stopped(ShutdownOutcome::DeadlinePassed { open }) => {
            tracing::warn!(open, "shutdown grace expired: open connections closed");
            ExitCode::FAILURE
        }
        Outcome::Stopped(ShutdownOutcome::Aborted { .. }) => ExitCode::from(signals.exit_code()),
        Outcome::Crashed(code) => ExitCode::from(code),
    })
}
