//! `selfheal exercise`.

mod summary;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use probe::Clock;
use tokio_util::sync::CancellationToken;

use super::cluster::{self, ClusterArguments};
use super::{HostCheck, NodeArguments, Output, exercise_names};
use crate::doctor::cluster::ClusterChecks;
use crate::embedded::Embedded;
use crate::exercise::http::NetworkClient;
use crate::exercise::namespace::ExerciseNamespace;
use crate::exercise::report::Report;
use crate::exercise::runner::{self, RunContext};
use crate::exercise::transcript::Transcript;
use crate::exercise::{Exercise, catalog};
use crate::exit::Exit;
use crate::preflight::{self, Preflight};
use crate::recording;
use crate::simulated::{self, Simulated};

/// Name that lists the exercises instead of running one.
const LIST_NAME: &str = "list";

/// Arguments of `selfheal exercise`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExerciseArguments {
    /// Exercises to run, in this order. Default: all. `list` lists them
    #[arg(value_name = "NAME", value_delimiter = ',', value_parser = exercise_names(&[LIST_NAME]), hide_possible_values = true)]
    names: Vec<String>,

    /// Lists the exercises
    #[arg(long)]
    list: bool,

    #[command(flatten)]
    cluster: ClusterArguments,

    /// Runs on scripted workloads and a virtual clock: takes a few seconds, needs neither a cluster nor Linux namespaces
    #[arg(long, conflicts_with = "kubeconfig")]
    pub(crate) simulated: bool,

    #[command(flatten)]
    node: NodeArguments,

    /// Changes objects that exist already instead of reporting them
    #[arg(long)]
    force: bool,

    /// Also writes a JSON recording of each exercise to this directory, for `compare`
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,

    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Result of the checks of this host, from the process outside the node's namespaces
    #[arg(long, hide = true, value_parser = Preflight::parse)]
    preflight: Option<Preflight>,
}

impl ExerciseArguments {
    fn is_list(&self) -> bool {
        self.list || self.names.iter().any(|name| name == LIST_NAME)
    }

    pub(super) fn needs_node(&self) -> bool {
        !(self.simulated || self.cluster.kubeconfig.is_some() || self.is_list())
    }

    /// Checks this host and keeps the result.
    pub(super) fn check_host(&mut self) -> anyhow::Result<HostCheck> {
        let exercises = catalog::select(&self.names)?;
        let found = self
            .preflight
            .insert(preflight::check_host(&exercises, &self.node)?);
        if found.blocks_all(&exercises) {
            return Ok(HostCheck::Blocked);
        }
        Ok(HostCheck::Passed(found.to_argument()?))
    }
}

/// Runs the exercises on the simulated node, on a node in this process, or on a cluster.
pub(crate) async fn run(
    arguments: &ExerciseArguments,
    dir: Option<&Path>,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    if arguments.is_list() {
        summary::print_list(&mut io::stdout(), &catalog::all()?)?;
        return Ok(Exit::Passed);
    }
    let exercises = catalog::select(&arguments.names)?;
    if let Some(dir) = &arguments.record {
        recording::prepare_dir(dir)?;
    }
    // The node and its server outlive `stop`: the exercises delete their objects after it.
    let shutdown = CancellationToken::new();
    let _shutdown_guard = shutdown.clone().drop_guard();
    if arguments.simulated {
        return run_on_simulated_node(arguments, exercises, &shutdown, stop).await;
    }
    match &arguments.cluster.kubeconfig {
        Some(file) => run_on_cluster(arguments, file, &exercises, stop).await,
        None => run_on_embedded_node(arguments, dir, &exercises, &shutdown, stop).await,
    }
}

async fn run_on_simulated_node(
    arguments: &ExerciseArguments,
    exercises: Vec<Exercise>,
    shutdown: &CancellationToken,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let (exercises, not_simulated): (Vec<_>, Vec<_>) = exercises
        .into_iter()
        .partition(|exercise| exercise.simulated);
    if let Some(exercise) = not_simulated
        .first()
        .filter(|_| !arguments.names.is_empty())
    {
        writeln!(
            io::stderr(),
            "error: exercise {} needs real processes: omit --simulated",
            exercise.name
        )?;
        return Ok(Exit::Usage);
    }
    let node = Simulated::start(shutdown.child_token()).await?;
    let context = RunContext {
        client: node.client.clone(),
        http: &node.services,
        clock: node.clock.clone(),
        engine: simulated::ENGINE.to_owned(),
        image_errors_are_final: true,
        ..arguments.context(node.client.clone(), &NetworkClient)
    };
    run_all(arguments, &exercises, &Preflight::default(), context, stop).await
}

async fn run_on_embedded_node(
    arguments: &ExerciseArguments,
    dir: Option<&Path>,
    exercises: &[Exercise],
    shutdown: &CancellationToken,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let preflight = arguments.preflight.clone().unwrap_or_default();
    if preflight.blocks_all(exercises) {
        let reports = preflight.reports(exercises, "embedded node");
        return finish(arguments, &reports);
    }
    let clock = Clock::new(Timestamp::now(), arguments.node.speed);
    let start = async {
        let node = Embedded::start(&arguments.node, clock, dir, shutdown.child_token()).await?;
        let client = node.serve(shutdown.child_token()).await?;
        anyhow::Ok((node, client))
    };
    let Some(started) = stop.run_until_cancelled(start).await else {
        return Ok(Exit::Interrupted);
    };
    let (node, client) = started?;
    let context = RunContext {
        clock: node.clock.clone(),
        engine: node.engine.clone(),
        image_errors_are_final: true,
        ..arguments.context(client, &NetworkClient)
    };
    run_all(arguments, exercises, &preflight, context, stop).await
}

async fn run_on_cluster(
    arguments: &ExerciseArguments,
    file: &Path,
    exercises: &[Exercise],
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let connection = cluster::connect(file, arguments.cluster.context.as_deref()).await?;
    let checks = ClusterChecks {
        client: connection.client.clone(),
        namespace: arguments.cluster.namespace.as_deref(),
        has_load_balancers: arguments.cluster.node_address.is_none(),
    };
    let Some(preflight) = stop.run_until_cancelled(checks.preflight(exercises)).await else {
        return Ok(Exit::Interrupted);
    };
    let context = RunContext {
        engine: format!("cluster, context {}", connection.context),
        ..arguments.context(connection.client, &NetworkClient)
    };
    run_all(arguments, exercises, &preflight?, context, stop).await
}

impl ExerciseArguments {
    /// Context of a cluster in real time, without a namespace and an engine.
    fn context<'a>(&'a self, client: kube::Client, http: &'a NetworkClient) -> RunContext<'a> {
        RunContext {
            client,
            namespace: String::new(),
            http,
            clock: Clock::new(Timestamp::now(), 1.0),
            engine: String::new(),
            image_errors_are_final: false,
            node_address: self.cluster.node_address.as_deref(),
            force: self.force,
            record: self.record.as_deref(),
        }
    }
}

/// Runs the exercises in their namespace, deletes it if it was created, and prints the results.
async fn run_all(
    arguments: &ExerciseArguments,
    exercises: &[Exercise],
    preflight: &Preflight,
    mut context: RunContext<'_>,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    if preflight.blocks_all(exercises) {
        return finish(arguments, &preflight.reports(exercises, &context.engine));
    }
    let requested = arguments.cluster.namespace.as_deref();
    let namespace = ExerciseNamespace::ensure(&context.client, requested).await?;
    namespace.name().clone_into(&mut context.namespace);
    let mut reports = Vec::new();
    let result = run_each(
        arguments.output,
        exercises,
        preflight,
        &context,
        stop,
        &mut reports,
    )
    .await;
    let removed = namespace.remove(&context.clock).await;
    result?;
    let exit = finish(arguments, &reports)?;
    removed?;
    // After an interrupt between two exercises, or while one deletes its objects, some exercises have no report.
    let is_complete = reports.len() == exercises.len();
    Ok(if is_complete { exit } else { Exit::Interrupted })
}

async fn run_each(
    output: Output,
    exercises: &[Exercise],
    preflight: &Preflight,
    context: &RunContext<'_>,
    stop: &CancellationToken,
    reports: &mut Vec<Report>,
) -> anyhow::Result<()> {
    let (mut stdout, mut sink) = (io::stdout(), io::sink());
    let out: &mut (dyn Write + Send) = match output {
        Output::Text => &mut stdout,
        Output::Json => &mut sink,
    };
    summary::print_blocked(out, &preflight.reports(exercises, &context.engine))?;
    let mut transcript = Transcript::new(out);
    for exercise in exercises {
        if stop.is_cancelled() {
            break;
        }
        reports.push(match preflight.report(exercise, &context.engine) {
            Some(report) => report,
            None => runner::run(exercise, context, &mut transcript, stop).await?,
        });
    }
    Ok(())
}

/// Prints the results of all exercises and returns the worst.
fn finish(arguments: &ExerciseArguments, reports: &[Report]) -> anyhow::Result<Exit> {
    let mut out = io::stdout();
    match arguments.output {
        Output::Text => summary::print(&mut out, reports)?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut out, reports)?;
            writeln!(out)?;
        }
    }
    let exits = reports.iter().map(|report| report.verdict.exit());
    Ok(exits.fold(Exit::Passed, Exit::worse))
}
