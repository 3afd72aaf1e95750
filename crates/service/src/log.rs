//! Logs on stderr, as text for people or JSON for collectors.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::Targets;
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
