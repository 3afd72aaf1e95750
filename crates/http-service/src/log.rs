//! Logs on standard error, as text or as JSON for collectors.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, fmt, registry};

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line of text per event.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Part of a log filter that is neither a level nor `MODULE=LEVEL`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a level (off, error, warn, info, debug, trace) nor MODULE=LEVEL")]
pub struct InvalidFilter(String);

/// Parses a comma-separated list of levels and of levels of modules.
///
/// `Targets` alone accepts any word as a module to log completely, so a mistyped level would disable all other logs.
///
/// # Errors
/// The first part that is neither.
pub(crate) fn parse_filter(text: &str) -> Result<Targets, InvalidFilter> {
    // `LevelFilter` parses an empty string as ERROR.
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let is_known = |part: &&str| is_level(part.split_once('=').map_or(*part, |(_, level)| level));
    let unknown = text.split(',').map(str::trim).find(|part| !is_known(part));
    match unknown {
        Some(part) => Err(InvalidFilter(part.to_owned())),
        None => text.parse().map_err(|_| InvalidFilter(text.to_owned())),
    }
}

/// Error for a process whose log is initialized already.
#[derive(Debug, thiserror::Error)]
#[error("the log of this process is initialized already")]
pub struct AlreadySet;

/// Writes this process's log to standard error.
///
/// # Errors
/// The process has a subscriber already.
pub fn init(filter: Targets, format: Format) -> Result<(), AlreadySet> {
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match format {
        Format::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    // `EnvFilter` would link two regular expression engines, a tenth of a small program.
    let subscriber = registry().with(filter).with(layer);
    subscriber.try_init().map_err(|_| AlreadySet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_with_an_unknown_part_is_rejected_by_its_name() {
        for (text, unknown) in [
            ("info", None),
            ("WARN", None),
            ("info,hyper=debug", None),
            ("info, tokio_postgres::connection=off", None),
            ("warning", Some("warning")),
            ("info,hyper", Some("hyper")),
            ("hyper=loud", Some("hyper=loud")),
            ("info,", Some("")),
            ("", Some("")),
        ] {
            let refused = parse_filter(text).err();
            assert_eq!(
                refused,
                unknown.map(|part| InvalidFilter(part.to_owned())),
                "{text:?}"
            );
        }
        let filter = parse_filter("warn,hyper=debug").unwrap();
        assert!(filter.would_enable("hyper::proto", &tracing::Level::DEBUG));
        assert!(!filter.would_enable("todo_web", &tracing::Level::INFO));
    }
}
