//! The command line, and what each command does.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use probe::Clock;
use tokio_util::sync::CancellationToken;

use crate::exercise::Exercise;
use crate::exercise::catalog::{self, CatalogError};
use crate::exercise::http::Sockets;
use crate::exercise::report::Report;
use crate::exercise::runner::{self, Place};
use crate::exercise::transcript::Transcript;
use crate::exit::Exit;
use crate::simulated::{self, Simulated};

/// Runs the self-healing exercises.
#[derive(Debug, Parser)]
#[command(name = "selfheal", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs exercises and judges what they claim: exit code 0 when every claim holds, 1 when one does not, 2 for a
    /// wrong command line, 3 when an exercise could not be carried out.
    Exercise(ExerciseArguments),
}

#[derive(Debug, clap::Args)]
struct ExerciseArguments {
    /// Exercises to run, in this order; all when none is named. `list` shows them.
    names: Vec<String>,

    /// The cluster to run on.
    #[arg(long, value_name = "FILE", conflicts_with = "simulated")]
    kubeconfig: Option<PathBuf>,

    /// Runs on scripted workloads and a virtual clock in this process: instant, and without a cluster.
    #[arg(long)]
    simulated: bool,

    /// Changes objects that exist already instead of refusing to run.
    #[arg(long)]
    force: bool,

    /// What to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A transcript with its verdict.
    Text,
    /// The verdicts as JSON.
    Json,
}

impl Cli {
    /// Whether time is virtual: then it passes as soon as everyone waits for it.
    pub(crate) fn is_simulated(&self) -> bool {
        let Command::Exercise(arguments) = &self.command;
        arguments.simulated
    }
}

/// Does what the command line says.
pub(crate) async fn run(cli: Cli, stop: &CancellationToken) -> anyhow::Result<Exit> {
    let Command::Exercise(arguments) = cli.command;
    exercise(&arguments, stop).await
}

async fn exercise(arguments: &ExerciseArguments, stop: &CancellationToken) -> anyhow::Result<Exit> {
    if arguments.names == ["list"] {
        for exercise in catalog::all()? {
            writeln!(io::stdout(), "{:<12}{}", exercise.name, exercise.title)?;
        }
        return Ok(Exit::Held);
    }
    let exercises = match catalog::select(&arguments.names) {
        Err(error @ CatalogError::Unknown { .. }) => return usage(&error.to_string()),
        other => other?,
    };
    if arguments.simulated {
        let node = Simulated::start(stop.child_token()).await?;
        let place = Place {
            client: node.client.clone(),
            namespace: "default".to_owned(),
            caller: &node.caller,
            clock: node.clock.clone(),
            engine: simulated::ENGINE,
            force: arguments.force,
        };
        return run_all(&exercises, &place, arguments.output, stop).await;
    }
    let Some(file) = &arguments.kubeconfig else {
        return usage("nowhere to run: give --kubeconfig FILE for a cluster, or --simulated");
    };
    let (client, namespace) = connect(file).await?;
    let place = Place {
        client,
        namespace,
        caller: &Sockets,
        clock: Clock::new(Timestamp::now(), 1.0),
        engine: "cluster",
        force: arguments.force,
    };
    run_all(&exercises, &place, arguments.output, stop).await
}

async fn run_all(
    exercises: &[Exercise],
    place: &Place<'_>,
    output: Output,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let (mut stdout, mut nowhere) = (io::stdout(), io::sink());
    let out: &mut (dyn Write + Send) = if output == Output::Text {
        &mut stdout
    } else {
        &mut nowhere
    };
    let mut transcript = Transcript::new(out);
    let mut reports = Vec::new();
    for exercise in exercises {
        reports.push(runner::run(exercise, place, &mut transcript, stop).await?);
    }
    if output == Output::Json {
        runner::print_json(&mut io::stdout(), &reports)?;
    }
    Ok(reports
        .iter()
        .map(Report::exit)
        .fold(Exit::Held, Exit::worse))
}

fn usage(message: &str) -> anyhow::Result<Exit> {
    writeln!(io::stderr(), "error: {message}")?;
    Ok(Exit::Usage)
}

async fn connect(file: &PathBuf) -> anyhow::Result<(Client, String)> {
    let kubeconfig =
        Kubeconfig::read_from(file).with_context(|| format!("reading {}", file.display()))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let namespace = config.default_namespace.clone();
    Ok((Client::try_from(config)?, namespace))
}
