//! The program: reads settings, listens for signals, serves, and returns the exit code. `selfheal` contains it too.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use crate::args::Output;
use crate::source::SourceError;
use crate::spec::Config;
use crate::{Args, Outcome, explain, source};
use anyhow::Context as _;
use probe::exec::reaper::Reaper;
use service::Ended;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// As clap's own, for what stands in a file.
const BAD_CONFIG: u8 = 2;

/// Runs the program with this process's arguments; returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let args: Args = match service::args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => return service::args::report(&error),
    };
    let source = source(&args);
    let config = source.text().and_then(|text| source.parse(&text));
    if args.check_config {
        return check(&args, config).unwrap_or(ExitCode::FAILURE);
    }
    if let Err(error) = args.service.init_log() {
        tracing::error!(%error, "logs");
        return ExitCode::FAILURE;
    }
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::from(BAD_CONFIG);
        }
    };
    match serve(&args, config) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Explains a configuration, or says what is wrong with it.
fn check(args: &Args, config: Result<Config, SourceError>) -> std::io::Result<ExitCode> {
    let mut out = std::io::stdout();
    match (config, args.output) {
        (Ok(config), Output::Text) => write!(out, "{}", explain::text(&config))?,
        (Ok(config), Output::Json) => writeln!(out, "{}", explain::json(&config))?,
        (Err(error), output) => {
            if output == Output::Json {
                writeln!(out, "{}", explain::errors(&error))?;
            } else {
                writeln!(std::io::stderr(), "{error}")?;
            }
            return Ok(ExitCode::from(BAD_CONFIG));
        }
    }
    Ok(ExitCode::SUCCESS)
}

// One thread: ten thousand probes do not fill a core, and each thread would keep memory of its own.
#[tokio::main(flavor = "current_thread")]
async fn serve(args: &Args, config: Config) -> anyhow::Result<ExitCode> {
    let stop = args.service.stop();
    let signals = service::signal::listen(&stop).context("cannot listen for signals")?;
    let reload = Arc::new(Notify::new());
    let mut hangups = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let asked = reload.clone();
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            asked.notify_one();
        }
    });
    if std::process::id() == 1 {
        let children = signal(SignalKind::child()).context("cannot listen for signals")?;
        tokio::spawn(reap(children, Reaper::new()));
    }
    let code = match crate::run(args, config, &stop, reload).await? {
        Outcome::Ended(Ended::Drained) => ExitCode::SUCCESS,
        Outcome::Ended(Ended::DeadlinePassed { open }) => {
            tracing::warn!(open, "the grace ran out: connections dropped");
            ExitCode::FAILURE
        }
        Outcome::Ended(Ended::Aborted { .. }) => ExitCode::from(signals.exit_code()),
        Outcome::Exited(code) => ExitCode::from(code),
    };
    Ok(code)
}

/// The first process of a container inherits what a probe's command leaves behind, and is the only one to reap it.
async fn reap(mut children: Signal, reaper: Reaper) {
    while children.recv().await.is_some() {
        let orphans = reaper.reap();
        if orphans > 0 {
            tracing::debug!(orphans, "reaped what commands left behind");
        }
    }
}
