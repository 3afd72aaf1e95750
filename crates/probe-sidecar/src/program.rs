//! Entry point: reads settings, handles signals, serves, and returns the exit code. `selfheal` contains this program, too.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::args::{Command, Output};
use crate::source::SourceError;
use crate::spec::Config;
use crate::{Args, ExitReason, explain, source};
use anyhow::Context as _;
use http_service::ShutdownOutcome;
use probe::exec::reaper::Reaper;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// Exit code for an invalid configuration; clap uses the same one for invalid flags.
const INVALID_CONFIG: u8 = 2;

/// Runs the program with this process's arguments; returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let args: Args = match http_service::args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => return http_service::args::report(&error),
    };
    let source = source(&args);
    let config = source.text().and_then(|text| source.parse(&text));
    if args.check_config || (args.command.is_some() && config.is_err()) {
        return check(&args, config).unwrap_or(ExitCode::FAILURE);
    }
    if let Err(error) = args.service.init_log() {
        tracing::error!(%error, "cannot initialize logging");
        return ExitCode::FAILURE;
    }
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::from(INVALID_CONFIG);
        }
    };
    let result = match &args.command {
        Some(Command::Check { names }) => run_checks(&args, &config, names),
        None => serve(&args, config),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints an explanation of the configuration, or its problems.
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
            return Ok(ExitCode::from(INVALID_CONFIG));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs probes once and prints their results.
#[tokio::main(flavor = "current_thread")]
async fn run_checks(args: &Args, config: &Config, names: &[String]) -> anyhow::Result<ExitCode> {
    let reaper = Reaper::new();
    adopt_orphans();
    let checks = crate::check::run(config, names).await;
    kill_remaining(&reaper).await;
    let checks = match checks {
        Ok(checks) => checks,
        Err(error) => {
            writeln!(std::io::stderr(), "{error}")?;
            return Ok(ExitCode::from(INVALID_CONFIG));
        }
    };
    write!(std::io::stdout(), "{}", checks.format(args.output))?;
    Ok(if checks.succeeded() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

// One thread: ten thousand probes do not fill a core, and each thread would use additional memory.
#[tokio::main(flavor = "current_thread")]
async fn serve(args: &Args, config: Config) -> anyhow::Result<ExitCode> {
    let shutdown = args.service.shutdown();
    let signals = http_service::signal::listen(&shutdown).context("cannot listen for signals")?;
    let reload = Arc::new(Notify::new());
    let mut hangups = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let requested = reload.clone();
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            requested.notify_one();
        }
    });
    let reaper = Arc::new(Reaper::new());
    adopt_orphans();
    let children = signal(SignalKind::child()).context("cannot listen for signals")?;
    let reaping = tokio::spawn(reap(children, reaper.clone()));
    let reason = crate::run(args, config, &shutdown, reload).await;
    reaping.abort();
    kill_remaining(&reaper).await;
    let code = match reason? {
        ExitReason::Shutdown(ShutdownOutcome::Drained) => ExitCode::SUCCESS,
        ExitReason::Shutdown(ShutdownOutcome::DeadlinePassed { open }) => {
            tracing::warn!(open, "shutdown grace period expired: connections dropped");
            ExitCode::FAILURE
        }
        ExitReason::Shutdown(ShutdownOutcome::Aborted { .. }) => {
            ExitCode::from(signals.exit_code())
        }
        ExitReason::ActionExit(code) => ExitCode::from(code),
    };
    Ok(code)
}

/// Makes this process the parent of processes that its commands orphan; as PID 1 it is that already.
fn adopt_orphans() {
    let enable = Some(rustix::process::getpid());
    if let Err(error) = rustix::process::set_child_subreaper(enable) {
        tracing::warn!(%error, "cannot adopt orphans of commands; they may outlive their probe");
    }
}

/// Kills and reaps processes orphaned by commands, which are reparented to this process.
async fn reap(mut children: Signal, reaper: Arc<Reaper>) {
    loop {
        tokio::select! {
            signal = children.recv() => if signal.is_none() { return },
            () = reaper.wait_for_finished_command() => {}
            () = reaper.wait_for_suspects() => {}
        }
        let _ = reaper.kill_orphans();
        let orphans = reaper.reap();
        if orphans > 0 {
            tracing::debug!(orphans, "reaped orphans");
        }
    }
}

/// Kills the processes of commands that are left at the end of the program, up to a second.
async fn kill_remaining(reaper: &Reaper) {
    let Ok(mut children) = signal(SignalKind::child()) else {
        return;
    };
    let kill = async {
        while reaper.kill_orphans() > 0 {
            let _ = reaper.reap();
            if reaper.kill_orphans() == 0 {
                return;
            }
            tokio::select! {
                signal = children.recv() => if signal.is_none() { return },
                () = reaper.wait_for_suspects() => {}
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), kill).await;
}
