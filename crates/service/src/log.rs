//! Logs on stderr, as text for people or JSON for collectors.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::EnvFilter;

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
pub fn init(filter: EnvFilter, format: Format) -> Result<(), AlreadySet> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    match format {
        Format::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|_| AlreadySet)
}
