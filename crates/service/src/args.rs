//! The flags every service has, and an error that names the environment variable it came from.

use std::{error::Error, ffi::OsString, net::SocketAddr, process::ExitCode, time::Duration};

use clap::{
    CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};
use tracing_subscriber::filter::Targets;

use crate::{Stop, log};

/// The shared flags; flatten them into a service's own.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "service")]
#[command(next_help_heading = "Service")]
pub struct Args {
    /// Address and port to listen on; port 0 takes a free one and logs it
    #[arg(
        long,
        env = "LISTEN",
        value_name = "ADDR:PORT",
        default_value = "0.0.0.0:80"
    )]
    pub listen: SocketAddr,

    /// What to log: a level or a filter such as `info,hyper=debug`
    #[arg(long, env = "LOG_LEVEL", value_name = "FILTER", default_value = "info", value_parser = log::filter)]
    pub log_level: Targets,

    /// How log lines look
    #[arg(
        long,
        env = "LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        value_enum
    )]
    pub log_format: log::Format,

    /// After SIGTERM: how long to go on accepting while unready
    #[arg(long, env = "SHUTDOWN_DELAY", value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub shutdown_delay: Duration,

    /// After that: how long requests in hand may take
    #[arg(long, env = "SHUTDOWN_GRACE", value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub shutdown_grace: Duration,
}

impl Args {
    /// Sets up this process's logs as asked.
    ///
    /// # Errors
    /// When logs are set up already.
    pub fn init_log(&self) -> Result<(), log::AlreadySet> {
        log::init(self.log_level.clone(), self.log_format)
    }

    /// Fresh tokens with the times asked for.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop::new(self.shutdown_delay, self.shutdown_grace)
    }
}

/// Parses `args`, program name first, as [`clap::Parser::try_parse_from`] does, except that a bad value
/// that came from the environment is blamed on its variable.
///
/// # Errors
/// Clap's own, for [`report`]; its exit code is 2 for bad values.
pub fn parse<A>(args: impl IntoIterator<Item = OsString>) -> Result<A, clap::Error>
where
    A: CommandFactory + FromArgMatches,
{
    let mut command = A::command();
    let matches = command
        .try_get_matches_from_mut(args)
        .map_err(|error| name_variable(&mut A::command(), error))?;
    A::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Prints what [`parse`] returned, help and version to stdout, and returns clap's exit code for it.
#[must_use]
pub fn report(error: &clap::Error) -> ExitCode {
    // A closed output does not change the exit code.
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Clap names the flag whether or not anyone typed it. The value is the variable's when it says the same.
fn name_variable(command: &mut clap::Command, error: clap::Error) -> clap::Error {
    let (Some(ContextValue::String(arg)), Some(ContextValue::String(value))) = (
        error.get(ContextKind::InvalidArg),
        error.get(ContextKind::InvalidValue),
    ) else {
        return error;
    };
    command.build(); // Only a built command can print its arguments as clap's errors name them.
    let variable = command
        .get_arguments()
        .find(|known| known.to_string() == *arg)
        .and_then(|known| known.get_env())
        .filter(|name| std::env::var_os(name).is_some_and(|set| set == **value));
    let Some(variable) = variable else {
        return error;
    };
    let reason = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    let message = format!(
        "invalid value '{value}' in the environment variable {}{reason}",
        variable.display()
    );
    command.error(ErrorKind::ValueValidation, message)
}
