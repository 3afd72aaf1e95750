//! The command line, and what each command does.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use probe::Clock;
use tokio_util::sync::CancellationToken;

use crate::compare::{self, Known};
use crate::completions::{self, CompletionsArguments, ManArguments};
use crate::embedded::Embedded;
use crate::exercise::Exercise;
use crate::exercise::catalog::{self, CatalogError};
use crate::exercise::http::Sockets;
use crate::exercise::report::Report;
use crate::exercise::runner::{self, Place};
use crate::exercise::transcript::Transcript;
use crate::exit::Exit;
#[cfg(target_os = "linux")]
use crate::postgresql::postgresql_requirement;
use crate::recording;
use crate::simulated::{self, Simulated};
use crate::up;

/// Starts a Kubernetes node on this machine, and runs the self-healing exercises on it or on a cluster.
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
    /// Compares two recordings of exercises: exit code 0 when all that differs is known to, 1 when something else
    /// does, 2 for a wrong command line, 3 when there is nothing to compare.
    Compare(CompareArguments),
    /// Starts a node in this process, writes a kubeconfig for it, and serves until Ctrl-C.
    Up(UpArguments),
    /// Provides PostgreSQL for containers: finds the installed one, or unpacks the distribution's packages into the user's
    /// cache, without root. Prints the directory of its programs.
    #[cfg(target_os = "linux")]
    Postgresql,
    /// Prints the completion script for a shell.
    Completions(CompletionsArguments),
    /// Writes the man pages into a directory.
    Man(ManArguments),
}

/// What a node on this machine is made from.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeArguments {
    /// Lets a program of this machine stand for an image; may be given again.
    #[arg(long = "image", value_name = "NAME=PROGRAM", value_parser = parse_image)]
    pub(crate) images: Vec<(String, PathBuf)>,

    /// Runs the node's clock so many times as fast: probes, waits and deadlines come sooner.
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_speed)]
    pub(crate) speed: f64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UpArguments {
    #[command(flatten)]
    pub(crate) node: NodeArguments,

    /// Where to write the kubeconfig, which goes when the node does. Nobody else can read it.
    #[arg(long, value_name = "FILE", default_value = "selfheal.kubeconfig")]
    pub(crate) kubeconfig: PathBuf,

    /// The port of the API on this machine's loopback address; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
}

fn parse_image(text: &str) -> Result<(String, PathBuf), String> {
    let (name, program) = text
        .split_once('=')
        .filter(|(name, program)| !name.is_empty() && !program.is_empty())
        .ok_or("it is written NAME=PROGRAM, as in nginx=/usr/sbin/nginx")?;
    let path = std::fs::canonicalize(program).map_err(|error| format!("{program}: {error}"))?;
    if path.is_file() {
        Ok((name.to_owned(), path))
    } else {
        Err(format!("{program} is no file"))
    }
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "it is a number, as in 5")?;
    if (0.1..=100.0).contains(&speed) {
        Ok(speed)
    } else {
        Err("it is from 0.1 to 100: beyond that the machine cannot keep up".to_owned())
    }
}

#[derive(Debug, clap::Args)]
struct ExerciseArguments {
    /// Exercises to run, in this order; all when none is named. `list` shows them.
    names: Vec<String>,

    /// The cluster to run on; without it, a node in this process.
    #[arg(long, value_name = "FILE", conflicts_with = "simulated")]
    kubeconfig: Option<PathBuf>,

    /// Calls services at this address of one of the cluster's nodes, at their node ports: for a cluster whose services of
    /// type LoadBalancer get no address, as on kind.
    #[arg(long, value_name = "HOST", requires = "kubeconfig")]
    node_address: Option<String>,

    /// Runs on scripted workloads and a virtual clock in this process: instant, and without a cluster.
    #[arg(long)]
    simulated: bool,

    #[command(flatten)]
    node: NodeArguments,

    /// Changes objects that exist already instead of refusing to run.
    #[arg(long)]
    force: bool,

    /// Also writes what was seen into this folder, a JSON file for each exercise: `compare` reads them.
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,

    /// What to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct CompareArguments {
    /// A folder that `exercise --record` has filled, or one file of it.
    first: PathBuf,

    /// The one to compare it with.
    second: PathBuf,

    /// What to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// The same as JSON.
    Json,
}

impl Cli {
    /// Whether time is virtual: then it passes as soon as everyone waits for it.
    pub(crate) fn is_simulated(&self) -> bool {
        matches!(&self.command, Command::Exercise(arguments) if arguments.simulated)
    }

    /// Whether it takes a node of its own.
    pub(crate) fn needs_node(&self) -> bool {
        match &self.command {
            Command::Up(_) => true,
            Command::Exercise(arguments) => {
                let listed =
                    arguments.names == ["list"] || catalog::select(&arguments.names).is_err();
                !(arguments.simulated || arguments.kubeconfig.is_some() || listed)
            }
            _ => false,
        }
    }

    /// `true` if exercises with a database run on a node of its own.
    #[cfg(target_os = "linux")]
    pub(crate) fn needs_postgresql(&self) -> bool {
        let Command::Exercise(arguments) = &self.command else {
            return false;
        };
        let has_database = |exercise: &Exercise| exercise.apps.iter().any(|app| app == "todo-db");
        self.needs_node()
            && catalog::select(&arguments.names).is_ok_and(|all| all.iter().any(has_database))
    }

    /// The file that goes when the node does.
    pub(crate) fn kubeconfig(&self) -> Option<&Path> {
        match &self.command {
            Command::Up(arguments) => Some(&arguments.kubeconfig),
            _ => None,
        }
    }
}

/// Does what the command line says; a node keeps its files in `folder`.
pub(crate) async fn run(
    cli: Cli,
    folder: Option<&Path>,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Exercise(arguments) => exercise(&arguments, folder, stop).await,
        Command::Compare(arguments) => compare_recordings(&arguments),
        Command::Up(arguments) => up::run(&arguments, folder, stop).await,
        #[cfg(target_os = "linux")]
        Command::Postgresql => {
            let found = postgresql_requirement()?;
            writeln!(io::stdout(), "{}", found.bin.display())?;
            Ok(Exit::Held)
        }
        Command::Completions(arguments) => {
            completions::print::<Cli>(&arguments)?;
            Ok(Exit::Held)
        }
        Command::Man(arguments) => {
            completions::write_pages::<Cli>(&arguments)?;
            Ok(Exit::Held)
        }
    }
}

async fn exercise(
    arguments: &ExerciseArguments,
    folder: Option<&Path>,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
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
        let (exercises, real): (Vec<_>, Vec<_>) = exercises
            .into_iter()
            .partition(|exercise| exercise.simulated);
        if let Some(exercise) = real.first().filter(|_| !arguments.names.is_empty()) {
            return usage(&format!(
                "{} needs real processes: leave --simulated out",
                exercise.name
            ));
        }
        let node = Simulated::start(stop.child_token()).await?;
        let place = Place {
            client: node.client.clone(),
            namespace: "default".to_owned(),
            caller: &node.caller,
            clock: node.clock.clone(),
            engine: simulated::ENGINE,
            node_address: None,
            force: arguments.force,
            record: arguments.record.as_deref(),
        };
        return run_all(&exercises, &place, arguments.output, stop).await;
    }
    let Some(file) = &arguments.kubeconfig else {
        let node = Embedded::start(&arguments.node, folder, stop.child_token()).await?;
        let place = Place {
            client: node.served(stop.child_token()).await?,
            namespace: "default".to_owned(),
            caller: &Sockets,
            clock: node.clock.clone(),
            engine: &node.engine,
            node_address: None,
            force: arguments.force,
            record: arguments.record.as_deref(),
        };
        return run_all(&exercises, &place, arguments.output, stop).await;
    };
    let (client, namespace) = connect(file).await?;
    let place = Place {
        client,
        namespace,
        caller: &Sockets,
        clock: Clock::new(Timestamp::now(), 1.0),
        engine: "cluster",
        node_address: arguments.node_address.as_deref(),
        force: arguments.force,
        record: arguments.record.as_deref(),
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
    let mut broken = None;
    for exercise in exercises {
        match runner::run(exercise, place, &mut transcript, stop).await {
            Ok(report) => reports.push(report),
            Err(error) => {
                broken = Some(error.context(format!("exercise {}", exercise.name)));
                break;
            }
        }
    }
    // What was judged before is not lost with what could not be.
    if output == Output::Json {
        runner::print_json(&mut io::stdout(), &reports)?;
    }
    if let Some(error) = broken {
        return Err(error);
    }
    Ok(reports
        .iter()
        .map(Report::exit)
        .fold(Exit::Held, Exit::worse))
}

fn compare_recordings(arguments: &CompareArguments) -> anyhow::Result<Exit> {
    let (first, second) = (
        recording::read(&arguments.first)?,
        recording::read(&arguments.second)?,
    );
    let comparison = compare::all(&first, &second, &Known::own()?);
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

fn usage(message: &str) -> anyhow::Result<Exit> {
    writeln!(io::stderr(), "error: {message}")?;
    Ok(Exit::Usage)
}

async fn connect(file: &PathBuf) -> anyhow::Result<(Client, String)> {
    let kubeconfig =
        Kubeconfig::read_from(file).with_context(|| format!("reading {}", file.display()))?;
    client_of(kubeconfig).await
}

/// A client, and the namespace that its context names.
pub(crate) async fn client_of(kubeconfig: Kubeconfig) -> anyhow::Result<(Client, String)> {
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let namespace = config.default_namespace.clone();
    Ok((Client::try_from(config)?, namespace))
}
