//! Command-line options.
//!
//! Parsed with lexopt and not with clap's derive, which the other programs use: `pg_isready`'s options follow
//! `getopt_long` (unambiguous prefixes of long options, `--help` only as the first argument), and clap would enlarge a
//! static program that is started every few seconds.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};

use super::MIN_CONNECT_TIMEOUT;
use crate::check::{self, Check, CheckError};
use crate::conninfo::{self, ConninfoError, Settings};
use crate::wait::parse_duration;

/// The options that the command line may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OptionSet {
    /// The options of `pg_isready`.
    PgIsready,
    /// The options of `pg_isready` and [`EXTENDED_OPTIONS`].
    Extended,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum OutputFormat {
    #[default]
    Text,
    Json,
}

/// Parsed command line.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) database: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<String>,
    pub(super) user: Option<String>,
    pub(super) quiet: bool,
    pub(super) help: bool,
    pub(super) version: bool,
    timeout: Option<String>,
    /// `true` if a server that rejects every connection counts as up.
    pub(super) alive: bool,
    pub(super) checks: Vec<Check>,
    /// Limit of `--wait`; `None` makes one attempt.
    pub(super) wait_limit: Option<Duration>,
    pub(super) output: OutputFormat,
    pub(super) password_file: Option<String>,
    /// The command after `--`, to be executed once the server is ready.
    pub(super) command: Vec<OsString>,
    uses_extended_options: bool,
}

/// An invalid command line.
#[derive(Debug, thiserror::Error)]
pub(super) enum UsageError {
    /// An unknown option, or an option without its value.
    #[error(transparent)]
    Option(#[from] lexopt::Error),
    #[error("too many command-line arguments (first is {0:?})")]
    TooManyArguments(OsString),
    #[error("invalid integer value {0:?} for connection option \"connect_timeout\"")]
    Timeout(String),
    #[error("--check: {0}")]
    Check(#[from] CheckError),
    /// The value is not a valid duration.
    #[error("--wait: invalid duration {0:?}; use a value such as 30s or 2m")]
    Wait(String),
    #[error("--output: invalid format {0:?}; use text or json")]
    Output(String),
    #[error("no command after --")]
    NoCommand,
    #[error("--alive excludes --check, --wait and a command")]
    AliveOrReady,
}

const LONG_OPTIONS: &[(&str, char)] = &[
    ("dbname", 'd'),
    ("host", 'h'),
    ("port", 'p'),
    ("quiet", 'q'),
    ("timeout", 't'),
    ("username", 'U'),
];

/// Options that `pg_isready` does not have. Their prefixes are not accepted, so that those of `pg_isready`'s options
/// keep their meaning.
const EXTENDED_OPTIONS: &[&str] = &["check", "output", "password-file", "wait"];

impl Options {
    /// Parses a command line, whose first argument is the program.
    pub(super) fn parse(
        mut arguments: Vec<OsString>,
        option_set: OptionSet,
    ) -> Result<Self, UsageError> {
        let mut options = Self::default();
        if option_set == OptionSet::Extended {
            options.command = split_command(&mut arguments)?;
            options.uses_extended_options = !options.command.is_empty();
        }
        // As in pg_isready, these two are recognized only as the first argument.
        match arguments.get(1).and_then(|first| first.to_str()) {
            Some("--help" | "-?") => {
                return Ok(Self {
                    help: true,
                    ..options
                });
            }
            Some("--version" | "-V") => {
                return Ok(Self {
                    version: true,
                    ..options
                });
            }
            _ => {}
        }
        let mut extra = None;
        let mut parser = lexopt::Parser::from_iter(arguments);
        while let Some(argument) = parser.next()? {
            let letter = match argument {
                Short(letter) => letter,
                Long(name)
                    if option_set == OptionSet::Extended && EXTENDED_OPTIONS.contains(&name) =>
                {
                    let name = name.to_owned();
                    let value = parser.value()?.to_string_lossy().into_owned();
                    options.set_extended_option(&name, value)?;
                    continue;
                }
                Long("alive") if option_set == OptionSet::Extended => {
                    options.alive = true;
                    options.uses_extended_options = true;
                    continue;
                }
                Long(name) => find_long_option(name)?,
                Value(argument) => {
                    extra.get_or_insert(argument);
                    continue;
                }
            };
            let mut value = || {
                parser
                    .value()
                    .map(|value| value.to_string_lossy().into_owned())
            };
            match letter {
                'd' => options.database = Some(value()?),
                'h' => options.host = Some(value()?),
                'p' => options.port = Some(value()?),
                't' => options.timeout = Some(value()?),
                'U' => options.user = Some(value()?),
                'q' => options.quiet = true,
                other => return Err(Short(other).unexpected().into()),
            }
        }
        check::validate(&options.checks)?;
        let requires_ready = !options.checks.is_empty()
            || options.wait_limit.is_some()
            || !options.command.is_empty();
        if options.alive && requires_ready {
            return Err(UsageError::AliveOrReady);
        }
        match extra {
            Some(argument) => Err(UsageError::TooManyArguments(argument)),
            None => Ok(options),
        }
    }

    fn set_extended_option(&mut self, name: &str, value: String) -> Result<(), UsageError> {
        self.uses_extended_options = true;
        match name {
            "check" => self.checks.extend(check::parse_list(&value)?),
            "wait" => {
                self.wait_limit = Some(parse_duration(&value).ok_or(UsageError::Wait(value))?);
            }
            "password-file" => self.password_file = Some(value),
            _ => {
                self.output = match value.as_str() {
                    "text" => OutputFormat::Text,
                    "json" => OutputFormat::Json,
                    _ => return Err(UsageError::Output(value)),
                }
            }
        }
        Ok(())
    }

    /// Returns `true` if the command line contains an option or a command that `pg_isready` does not have.
    pub(super) fn uses_extended_options(&self) -> bool {
        self.uses_extended_options
    }

    /// Returns the value of `--timeout`; an empty one counts as absent.
    pub(super) fn timeout_text(&self) -> Option<&str> {
        self.timeout.as_deref().filter(|text| !text.is_empty())
    }

    /// Parses `--dbname` if it is a connection string.
    pub(super) fn connection_string(&self) -> Result<Settings, ConninfoError> {
        match &self.database {
            Some(text) if conninfo::is_connection_string(text) => conninfo::parse(text),
            _ => Ok(Settings::new()),
        }
    }

    /// Returns the settings of the other options; empty values are left out.
    pub(super) fn settings(&self) -> Settings {
        let database = self
            .database
            .as_ref()
            .filter(|text| !conninfo::is_connection_string(text));
        [
            ("dbname", database),
            ("host", self.host.as_ref()),
            ("port", self.port.as_ref()),
            ("user", self.user.as_ref()),
        ]
        .into_iter()
        .filter_map(|(keyword, value)| {
            Some((keyword, value.filter(|value| !value.is_empty())?.clone()))
        })
        .collect()
    }

    /// Returns libpq's `connect_timeout`, for each server: by default 3 s, and at least [`MIN_CONNECT_TIMEOUT`]; `None`
    /// for 0 or less disables it.
    pub(super) fn connect_timeout(&self) -> Result<Option<Duration>, UsageError> {
        let text = self.timeout_text().unwrap_or("3");
        let seconds: i32 = text
            .trim()
            .parse()
            .map_err(|_| UsageError::Timeout(text.to_owned()))?;
        Ok(u64::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds > 0)
            .map(|seconds| MIN_CONNECT_TIMEOUT.max(Duration::from_secs(seconds))))
    }
}

/// Returns `true` if arguments that may be invalid contain `--output=json`.
pub(super) fn requests_json(arguments: &[OsString]) -> bool {
    let own = arguments.split(|argument| argument == "--").next();
    let own = own.unwrap_or_default();
    own.iter().any(|argument| argument == "--output=json")
        || own
            .windows(2)
            .any(|pair| pair[0] == "--output" && pair[1] == "json")
}

/// Returns the letter of a long option or of a prefix of it; all long options differ in their first letter.
fn find_long_option(name: &str) -> Result<char, UsageError> {
    let found = LONG_OPTIONS
        .iter()
        .find(|(long, _)| !name.is_empty() && long.starts_with(name));
    found
        .map(|(_, letter)| *letter)
        .ok_or_else(|| Long(name).unexpected().into())
}

/// Removes `-- COMMAND...` from the arguments and returns the command, without a leading `exec`, which shell users
/// write.
fn split_command(arguments: &mut Vec<OsString>) -> Result<Vec<OsString>, UsageError> {
    let Some(index) = arguments.iter().position(|argument| argument == "--") else {
        return Ok(Vec::new());
    };
    let mut command = arguments.split_off(index);
    command.remove(0);
    if command.len() > 1 && command[0] == "exec" {
        command.remove(0);
    }
    if command.is_empty() {
        return Err(UsageError::NoCommand);
    }
    Ok(command)
}

#[cfg(test)]
mod tests;
