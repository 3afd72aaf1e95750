//! The options, long ones also by an unambiguous beginning as getopt takes them.

use super::{Duration, Long, OsString, SHORTEST, Settings, Short, Value, conninfo};
use crate::conninfo::ConninfoError;

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
}

const LONG: &[(&str, char)] = &[
    ("dbname", 'd'),
    ("host", 'h'),
    ("port", 'p'),
    ("quiet", 'q'),
    ("timeout", 't'),
    ("username", 'U'),
];

impl Options {
    pub(super) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, UsageError> {
        let arguments: Vec<_> = arguments.collect();
        let mut options = Self::default();
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
        match extra {
            Some(word) => Err(UsageError::TooMany(word)),
            None => Ok(options),
        }
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
        let text = self
            .timeout
            .as_deref()
            .filter(|text| !text.is_empty())
            .unwrap_or("3");
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

pub(super) fn help(program: &str) -> String {
    format!(
        "{program} asks whether a PostgreSQL server accepts connections.

Usage:
  {program} [OPTION]...

Options:
  -d, --dbname=DBNAME      database name, or a connection string or URI
  -h, --host=HOSTNAME      database server host or socket directory
  -p, --port=PORT          database server port
  -q, --quiet              run quietly
  -t, --timeout=SECS       seconds to wait for each server, 0 for ever (default: 3, least: 2)
  -U, --username=USERNAME  role named to the server
  -V, --version            output version information, then exit
  -?, --help               show this help, then exit

Exit codes:
  0  the server accepts connections
  1  the server rejects connections: it is starting or stopping
  2  no response
  3  no attempt was made: the options make no sense
"
    )
}

#[cfg(test)]
mod tests;
