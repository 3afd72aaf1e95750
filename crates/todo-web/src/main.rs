//! Reads the settings, listens for signals, serves, and turns the end into an exit code.

use std::process::ExitCode;

use anyhow::Context;
use service::Ended;
use todo_web::Args;
use todo_web::settings::Settings;

/// As clap's own, for settings that come from files.
const BAD_SETTINGS: u8 = 2;

fn main() -> ExitCode {
    let args: Args = match service::args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => error.exit(),
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
    match serve(&args, settings) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(args: &Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let stop = args.service.stop();
    let signals = service::signal::listen(&stop).context("cannot listen for signals")?;
    Ok(match todo_web::run(args, settings, &stop).await? {
        Ended::Drained => ExitCode::SUCCESS,
        Ended::DeadlinePassed { open } => {
            tracing::warn!(open, "the grace ran out: connections dropped");
            ExitCode::FAILURE
        }
        Ended::Aborted { .. } => ExitCode::from(signals.exit_code()),
    })
}
