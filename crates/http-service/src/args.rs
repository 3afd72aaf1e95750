//! Flags of every service. Errors name the environment variable that a bad value came from.

use std::{error::Error, ffi::OsString, net::SocketAddr, process::ExitCode, time::Duration};

use clap::{
    CommandFactory, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
};
use tracing_subscriber::filter::Targets;

use crate::{Shutdown, log};

/// Shared flags, to be flattened into a service's own.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "service")]
#[command(next_help_heading = "Service")]
pub struct Args {
    /// Address and port to listen on; with port 0 a free port is chosen and logged
    #[arg(
        long,
        env = "LISTEN",
        value_name = "ADDR:PORT",
        default_value = "0.0.0.0:80"
    )]
    pub listen: SocketAddr,

    /// Log level, or a filter such as `info,hyper=debug`
    #[arg(long, env = "LOG_LEVEL", value_name = "FILTER", default_value = "info", value_parser = log::parse_filter)]
    pub log_level: Targets,

    /// Format of log lines
    #[arg(
        long,
        env = "LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        value_enum
    )]
    pub log_format: log::Format,

    /// Time to accept connections while unready after SIGTERM
    #[arg(long, env = "SHUTDOWN_DELAY", value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub shutdown_delay: Duration,

    /// Maximum time for open requests after that
    #[arg(long, env = "SHUTDOWN_GRACE", value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub shutdown_grace: Duration,
}

impl Args {
    /// Initializes this process's log with the given level and format.
    ///
    /// # Errors
    /// The process has a log subscriber already.
    pub fn init_log(&self) -> Result<(), log::AlreadySet> {
        log::init(self.log_level.clone(), self.log_format)
    }

    /// Returns new shutdown tokens with the given delay and grace.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown::new(self.shutdown_delay, self.shutdown_grace)
    }
}

/// Parses `args`, program name first, as [`clap::Parser::try_parse_from`] does, except that the error for a bad value
/// from the environment names its variable.
///
/// # Errors
/// Clap's errors, for [`report`]; the exit code for bad values is 2.
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

/// Prints an error of [`parse`], help and version to standard output, and returns clap's exit code for it.
#[must_use]
pub fn report(error: &clap::Error) -> ExitCode {
    // An output that is closed does not change the exit code.
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Replaces the flag's name with the variable's if the variable has the rejected value: clap names the flag in both cases.
fn name_variable(command: &mut clap::Command, error: clap::Error) -> clap::Error {
    let (Some(ContextValue::String(arg)), Some(ContextValue::String(value))) = (
        error.get(ContextKind::InvalidArg),
        error.get(ContextKind::InvalidValue),
    ) else {
        return error;
    };
    // Arguments are printed as in clap's errors only after `build`.
    command.build();
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
