//! The options, long ones also by an unambiguous beginning as getopt takes them.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};

use super::SHORTEST;
use crate::check::{self, Check, CheckError};
use crate::conninfo::{self, ConninfoError, Settings};
use crate::wait;

/// How to say what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Output {
    #[default]
    Text,
    Json,
}

/// The command line as given.
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
    pub(super) checks: Vec<Check>,
    pub(super) wait: Option<Duration>,
    pub(super) output: Output,
    pub(super) password_file: Option<String>,
    /// What to run once the server is ready.
    pub(super) command: Vec<OsString>,
    beyond: bool,
}

/// A command line that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// An option nobody knows, or one without its value.
    #[error(transparent)]
    Option(#[from] lexopt::Error),
    /// A word that belongs to no option.
    #[error("too many command-line arguments (first is {0:?})")]
    TooMany(OsString),
    /// A timeout that is no number of seconds.
    #[error("invalid integer value {0:?} for connection option \"connect_timeout\"")]
    Timeout(String),
    /// A check that makes no sense.
    #[error("--check: {0}")]
    Check(#[from] CheckError),
    /// A duration that is none.
    #[error("--wait: {0:?} is no duration; try 30s or 2m")]
    Wait(String),
    /// A form that nobody knows.
    #[error("--output: {0:?} is neither text nor json")]
    Output(String),
    /// Two dashes and nothing after them.
    #[error("no command after --")]
    NoCommand,
}

const LONG: &[(&str, char)] = &[
    ("dbname", 'd'),
    ("host", 'h'),
    ("port", 'p'),
    ("quiet", 'q'),
    ("timeout", 't'),
    ("username", 'U'),
];

/// What pg_isready does not know. Only in full: a beginning means what it means to pg_isready.
const BEYOND: &[&str] = &["check", "output", "password-file", "wait"];

impl Options {
    /// Reads a command line; `beyond` says whether more than the contract is known.
    pub(super) fn parse(
        arguments: impl Iterator<Item = OsString>,
        beyond: bool,
    ) -> Result<Self, UsageError> {
        let mut arguments: Vec<_> = arguments.collect();
        let mut options = Self::default();
        if beyond {
            options.command = split_command(&mut arguments)?;
            options.beyond = !options.command.is_empty();
        }
        // As in pg_isready, these two count only in the first place.
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
                Long(name) if beyond && BEYOND.contains(&name) => {
                    let name = name.to_owned();
                    let value = parser.value()?.to_string_lossy().into_owned();
                    options.set_beyond(&name, value)?;
                    continue;
                }
                Long(name) => long(name)?,
                Value(word) => {
                    extra.get_or_insert(word);
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
        match extra {
            Some(word) => Err(UsageError::TooMany(word)),
            None => Ok(options),
        }
    }

    fn set_beyond(&mut self, name: &str, value: String) -> Result<(), UsageError> {
        self.beyond = true;
        match name {
            "check" => self.checks.extend(check::parse_list(&value)?),
            "wait" => self.wait = Some(wait::duration(&value).ok_or(UsageError::Wait(value))?),
            "password-file" => self.password_file = Some(value),
            _ => {
                self.output = match value.as_str() {
                    "text" => Output::Text,
                    "json" => Output::Json,
                    _ => return Err(UsageError::Output(value)),
                }
            }
        }
        Ok(())
    }

    /// Whether anything was asked for that pg_isready does not know.
    pub(super) fn goes_beyond(&self) -> bool {
        self.beyond
    }

    pub(super) fn timeout_text(&self) -> Option<&str> {
        self.timeout.as_deref().filter(|text| !text.is_empty())
    }

    /// What `--dbname` says, where it is a connection string.
    pub(super) fn connection_string(&self) -> Result<Settings, ConninfoError> {
        match &self.database {
            Some(text) if conninfo::is_connection_string(text) => conninfo::parse(text),
            _ => Ok(Settings::new()),
        }
    }

    /// What the other options say; empty ones say nothing.
    pub(super) fn settings(&self) -> Settings {
        let name = self
            .database
            .as_ref()
            .filter(|text| !conninfo::is_connection_string(text));
        [
            ("dbname", name),
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

    /// How long each server may take; none is for ever.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, UsageError> {
        let text = self.timeout_text().unwrap_or("3");
        let seconds: i32 = text
            .trim()
            .parse()
            .map_err(|_| UsageError::Timeout(text.to_owned()))?;
        Ok(u64::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds > 0)
            .map(|seconds| SHORTEST.max(Duration::from_secs(seconds))))
    }
}

/// No two long options begin alike, so the first match is the only one.
fn long(name: &str) -> Result<char, UsageError> {
    let found = LONG
        .iter()
        .find(|(long, _)| !name.is_empty() && long.starts_with(name));
    found
        .map(|(_, letter)| *letter)
        .ok_or_else(|| Long(name).unexpected().into())
}

/// Takes away `-- COMMAND…`. A first word `exec` is what a shell's user would write, and says nothing here.
fn split_command(arguments: &mut Vec<OsString>) -> Result<Vec<OsString>, UsageError> {
    let Some(at) = arguments.iter().position(|word| word == "--") else {
        return Ok(Vec::new());
    };
    let mut command = arguments.split_off(at);
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
