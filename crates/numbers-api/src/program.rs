//! The program: reads settings, listens for signals, serves, and returns the exit code. `selfheal` contains it too.

use std::process::ExitCode;

use crate::{Args, Outcome};
use anyhow::Context;
use service::Ended;

/// Runs the program with this process's arguments; returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let args: Args = match service::args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => return service::args::report(&error),
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
    let stop = args.service.stop();
    let signals = service::signal::listen(&stop).context("cannot listen for signals")?;
    Ok(match crate::run(args, &stop).await? {
        Outcome::Ended(Ended::Drained) => ExitCode::SUCCESS,
        Outcome::Ended(Ended::DeadlinePassed { open }) => {
            tracing::warn!(open, "the grace ran out: connections dropped");
            ExitCode::FAILURE
        }
        Outcome::Ended(Ended::Aborted { .. }) => ExitCode::from(signals.exit_code()),
        Outcome::Crashed(code) => ExitCode::from(code),
    })
}
