//! `selfheal compare`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use super::Output;
use crate::exit::Exit;
use crate::recording;
use crate::recording::diff::{self, Allowlist};

/// Arguments of `selfheal compare`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompareArguments {
    /// Directory that `exercise --record` has written, or one file of it
    first: PathBuf,

    /// Directory or file with the other recording
    second: PathBuf,

    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Compares two recordings.
pub(crate) fn run(arguments: &CompareArguments) -> anyhow::Result<Exit> {
    let (first, second) = (
        recording::read(&arguments.first)?,
        recording::read(&arguments.second)?,
    );
    let comparison = diff::compare_all(&first, &second, &Allowlist::included()?);
    let mut out = io::stdout().lock();
    match arguments.output {
        Output::Text => comparison.print(&mut out)?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut out, &comparison)?;
            writeln!(out)?;
        }
    }
    Ok(comparison.exit())
}
