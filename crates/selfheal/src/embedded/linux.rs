//! On Linux: in namespaces of its own.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::Context as _;
use apiserver::serve::{Credentials, serve};
use component_helpers::supervisor::Supervisor;
use container_runtime::ImageError;
use container_runtime::local::{ImageMap, LocalRuntime};
use kube::Client;
use kube::config::Kubeconfig;
use kube_proxy::Proxy;
pub(crate) use node::namespaces::NODE_ROLE;
use node::{EmbeddedNode, Options};
use probe::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Entered, ImageProblem};
use crate::cli::cluster::connect_to_current_context;
use crate::cli::{Cli, HostCheck, NodeArguments};
use crate::up::kubeconfig;
use crate::workloads;

/// Creates the namespaces that a node needs, and runs the command in a process inside them.
pub(crate) fn enter_namespaces(
    cli: &mut Cli,
    is_inside: bool,
    arguments: &[OsString],
) -> anyhow::Result<Entered> {
    if is_inside {
        return Ok(Entered::Continue(Some(node::namespaces::init()?)));
    }
    if cli.is_namespace_test() {
        node::namespaces::create_namespaces()?;
        // In its new PID namespace this process cannot start threads any more.
        return Ok(Entered::Exited(ExitCode::SUCCESS));
    }
    if !cli.needs_node() {
        return Ok(Entered::Continue(None));
    }
    // Without the program's name; further options follow the subcommand.
    let mut arguments: Vec<OsString> = arguments.iter().skip(1).cloned().collect();
    let after_subcommand = arguments.len().min(1);
    let mut insert = |option: &str, value: OsString| {
        let added = [option.into(), value];
        arguments.splice(after_subcommand..after_subcommand, added);
    };
    match cli.check_host()? {
        HostCheck::NotNeeded => {}
        HostCheck::Blocked => return Ok(Entered::Continue(None)),
        HostCheck::Passed(preflight) => insert("--preflight", preflight.into()),
    }
    let mut kubeconfig = None;
    if let Some(up) = cli.up_arguments_mut() {
        let file = kubeconfig::reserve(up.kubeconfig.as_deref())?;
        if up.kubeconfig.is_none() {
            insert("--kubeconfig", file.clone().into());
        }
        kubeconfig = Some(file);
    }
    let code = node::namespaces::run_in_namespaces(arguments.into_iter(), kubeconfig.as_deref())?;
    Ok(Entered::Exited(code))
}

/// Creates the namespaces of a node in another process, as a test.
///
/// # Errors
/// The reason and what to do.
pub(crate) fn test_namespaces() -> Result<(), String> {
    let output = Command::new("/proc/self/exe")
        .arg0("selfheal")
        .arg("try-namespaces")
        .output()
        .map_err(|error| format!("starting this program again: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(message.trim().trim_start_matches("error: ").to_owned())
}

/// Returns the reason why containers of `image` cannot start on a node with these arguments; `None` if they can.
pub(crate) fn image_problem(
    arguments: &NodeArguments,
    image: &str,
) -> anyhow::Result<Option<ImageProblem>> {
    Ok(match images(arguments)?.check(image) {
        Ok(()) => None,
        Err(ImageError::NotInstalled { .. }) => Some(ImageProblem::NeedsPostgresql),
        Err(error) => Some(ImageProblem::Other(error.to_string())),
    })
}

/// Address of the node in the pod network.
const NODE_IP: Ipv4Addr = container_runtime::local::GATEWAY;

/// A running node.
pub(crate) struct Embedded {
    pub(crate) node: EmbeddedNode,
    pub(crate) clock: Clock,
    /// Name of the engine in headings and reports.
    pub(crate) engine: String,
}

impl Embedded {
    /// Starts a node on `clock` with its files in `dir`.
    pub(crate) async fn start(
        arguments: &NodeArguments,
        clock: Clock,
        dir: Option<&Path>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let dir = dir.context("a node runs only inside its namespaces")?;
        let supervisor = Supervisor::new(clock.clone(), shutdown);
        let runtime = LocalRuntime::start(&supervisor, images(arguments)?, dir)
            .await
            .context("creating the pod network")?;
        let proxy = Proxy::new(runtime.pod_network(), NODE_IP, &supervisor);
        let options = Options {
            supervisor,
            runtime: Arc::new(runtime),
            load_balancer: Arc::new(proxy.load_balancer()),
            name: "selfheal".to_owned(),
            ip: NODE_IP.to_string(),
            jitter: true,
            max_pods: arguments.max_pods,
        };
        let node = EmbeddedNode::start(options)
            .await
            .context("starting the node")?;
        tokio::spawn(proxy.run(node.client()));
        Ok(Self {
            node,
            clock,
            engine: engine_name(arguments.speed),
        })
    }

    /// Serves the API until `stop` and returns a client over TLS: the client within the process cannot attach to a command.
    pub(crate) async fn serve(&self, stop: CancellationToken) -> anyhow::Result<Client> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let credentials = Credentials::generate().context("generating a certificate")?;
        let kubeconfig = credentials.kubeconfig(listener.local_addr()?);
        let api = self.node.api().clone();
        tokio::spawn(async move { serve(&api, listener, &credentials, stop).await });
        connect_to_current_context(Kubeconfig::from_yaml(&kubeconfig)?).await
    }
}

fn engine_name(speed: f64) -> String {
    let name = "embedded node: real processes on this host";
    if (speed - 1.0).abs() < f64::EPSILON {
        name.to_owned()
    } else {
        format!("{name}, clock {speed} times as fast")
    }
}

/// Images of this executable's workloads and of the command line.
fn images(arguments: &NodeArguments) -> anyhow::Result<ImageMap> {
    let executable = std::env::current_exe().context("finding this program's executable")?;
    let mut images = workloads::images(&executable);
    for (name, program) in &arguments.images {
        images.insert_override(name, workloads::program_of(program));
    }
    Ok(images)
}
