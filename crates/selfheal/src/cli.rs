//! Command line: subcommands and their arguments.

pub(crate) mod cluster;
mod compare;
mod doctor;
pub(crate) mod exercise;
mod node;

#[cfg(target_os = "linux")]
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use tokio_util::sync::CancellationToken;

pub(crate) use self::node::{NodeArguments, UpArguments};
use crate::completions::{self, CompletionsArguments, ManArguments};
use crate::exit::Exit;
#[cfg(target_os = "linux")]
use crate::postgresql::provide_postgresql;
use crate::up;

/// Starts a Kubernetes node on this host, and runs the self-healing exercises on it or on a cluster.
#[derive(Debug, Parser)]
#[command(name = "selfheal", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    every check passed or was skipped
  1    a check failed
  2    the command line is not valid
  3    the command could not run
  130  interrupted by Ctrl-C (`up` serves until Ctrl-C and then exits with 0)";

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs exercises and judges their assertions.
    Exercise(exercise::ExerciseArguments),
    /// Compares two recordings of exercises. Known differences pass, any other fails.
    Compare(compare::CompareArguments),
    /// Starts a node in this process, writes a kubeconfig for it, and serves until Ctrl-C.
    Up(UpArguments),
    /// Checks whether the exercises can run here, or on a cluster, and prints what to do.
    Doctor(doctor::DoctorArguments),
    /// Creates the namespaces of a node and exits; `doctor` starts it.
    #[command(hide = true)]
    TryNamespaces,
    /// Provides PostgreSQL for containers: finds the installed one, or unpacks the distribution's packages into the user's
    /// cache, without root. Prints the directory of its programs.
    #[cfg(target_os = "linux")]
    Postgresql,
    /// Prints the completion script for a shell.
    Completions(CompletionsArguments),
    /// Writes the man pages into a directory.
    Man(ManArguments),
}

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text for terminals.
    Text,
    /// JSON for programs.
    Json,
}

impl Cli {
    /// Returns `true` if time is virtual: it advances as soon as every task waits.
    pub(crate) fn is_simulated(&self) -> bool {
        matches!(&self.command, Command::Exercise(arguments) if arguments.simulated)
    }

    /// Returns `true` for the process that only tries to create namespaces.
    pub(crate) fn is_namespace_test(&self) -> bool {
        matches!(self.command, Command::TryNamespaces)
    }

    /// Returns `true` if the command runs a node in this process.
    pub(crate) fn needs_node(&self) -> bool {
        match &self.command {
            Command::Up(_) => true,
            Command::Exercise(arguments) => arguments.needs_node(),
            _ => false,
        }
    }

    /// Arguments of `up`, if that is the command.
    pub(crate) fn up_arguments_mut(&mut self) -> Option<&mut UpArguments> {
        match &mut self.command {
            Command::Up(arguments) => Some(arguments),
            _ => None,
        }
    }

    /// Checks this host for the exercises that are about to run on it. Only outside the node's namespaces are the owners of
    /// ports visible.
    ///
    /// # Errors
    /// When a manifest of the program is not valid.
    pub(crate) fn check_host(&mut self) -> anyhow::Result<HostCheck> {
        match &mut self.command {
            Command::Exercise(arguments) => arguments.check_host(),
            _ => Ok(HostCheck::NotNeeded),
        }
    }
}

/// Result of the checks of this host.
pub(crate) enum HostCheck {
    /// The command runs no exercise.
    NotNeeded,
    /// No exercise can run; a node is not needed.
    Blocked,
    /// The obstacles of single exercises, as an argument.
    Passed(String),
}

/// Runs the command; a node keeps its files in `dir`.
pub(crate) async fn run(
    cli: Cli,
    dir: Option<&Path>,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Exercise(arguments) => exercise::run(&arguments, dir, stop).await,
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Up(arguments) => up::run(&arguments, dir, stop).await,
        Command::Doctor(arguments) => doctor::run(&arguments).await,
        Command::TryNamespaces => Ok(Exit::Passed),
        #[cfg(target_os = "linux")]
        Command::Postgresql => {
            let found = provide_postgresql()?;
            writeln!(std::io::stdout(), "{}", found.bin.display())?;
            Ok(Exit::Passed)
        }
        Command::Completions(arguments) => {
            completions::print::<Cli>(&arguments)?;
            Ok(Exit::Passed)
        }
        Command::Man(arguments) => {
            completions::write_pages::<Cli>(&arguments)?;
            Ok(Exit::Passed)
        }
    }
}

/// Value parser of exercise names and `more`: clap suggests similar names.
fn exercise_names(more: &[&'static str]) -> clap::builder::PossibleValuesParser {
    let names = crate::exercise::catalog::names();
    names.chain(more.iter().copied()).collect::<Vec<_>>().into()
}

/// Parses an argument that is the path of an existing file.
fn parse_program(program: &str) -> Result<PathBuf, String> {
    let path = std::fs::canonicalize(program).map_err(|error| format!("{program}: {error}"))?;
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{program} is not a file"))
    }
}
