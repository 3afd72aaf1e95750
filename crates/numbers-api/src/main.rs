//! Parses the settings, listens for signals, serves, and turns the end into an exit code.

use std::process::ExitCode;

use anyhow::Context;
use numbers_api::{Args, Outcome};
use service::Ended;

fn main() -> ExitCode {
    let args: Args = match service::args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => error.exit(),
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
    Ok(match numbers_api::run(args, &stop).await? {
        Outcome::Ended(Ended::Drained) => ExitCode::SUCCESS,
        Outcome::Ended(Ended::DeadlinePassed { open }) => {
            tracing::warn!(open, "the grace ran out: connections dropped");
            ExitCode::FAILURE
        }
        Outcome::Ended(Ended::Aborted { .. }) => ExitCode::from(signals.exit_code()),
        Outcome::Crashed(code) => ExitCode::from(code),
    })
}
