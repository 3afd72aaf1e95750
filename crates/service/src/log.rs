//! Logs on stderr, as text for people or JSON for collectors.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, fmt, registry};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What somebody wants to be logged cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a level (off, error, warn, info, debug, trace) nor MODULE=LEVEL")]
pub struct NoFilter(String);

/// Reads a filter: levels, and levels of modules, between commas.
///
/// `Targets` alone takes any word for a module of which everything is to be logged, and so a mistyped level for an order
/// to log nothing else.
///
/// # Errors
/// When a part of it is neither.
pub(crate) fn filter(text: &str) -> Result<Targets, NoFilter> {
    // An empty word would be the level of errors.
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let is_known = |part: &&str| is_level(part.split_once('=').map_or(*part, |(_, level)| level));
    let unknown = text.split(',').map(str::trim).find(|part| !is_known(part));
    match unknown {
        Some(part) => Err(NoFilter(part.to_owned())),
        None => text.parse().map_err(|_| NoFilter(text.to_owned())),
    }
}

/// A log could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("logs are already set up in this process")]
pub struct AlreadySet;

/// Sends this process's logs to stderr.
///
/// # Errors
/// When the process has a subscriber already.
pub fn init(filter: Targets, format: Format) -> Result<(), AlreadySet> {
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match format {
        Format::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    // Not `EnvFilter`, which has two engines of regular expressions with it: a tenth of a small program.
    let subscriber = registry().with(filter).with(layer);
    subscriber.try_init().map_err(|_| AlreadySet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_made_of_levels_and_a_mistyped_one_is_named() {
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
            let refused = filter(text).err();
            assert_eq!(
                refused,
                unknown.map(|part| NoFilter(part.to_owned())),
                "{text:?}"
            );
        }
        let filter = filter("warn,hyper=debug").unwrap();
        assert!(filter.would_enable("hyper::proto", &tracing::Level::DEBUG));
        assert!(!filter.would_enable("todo_web", &tracing::Level::INFO));
    }
}
