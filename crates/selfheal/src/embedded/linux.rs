//! On Linux: in namespaces of its own.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use kube::Client;
use kube::config::Kubeconfig;
use node::node::{Node, Options};
use node::proxy::Proxy;
use node::runtime::local::{Images, Local};
use node::serve::{Credentials, serve};
pub(crate) use node::up::INSIDE;
use probe::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Place;
use crate::cli::{Cli, NodeArguments, client_of};
use crate::postgresql::postgresql_requirement;
use crate::workloads;

/// Makes the namespaces that a node needs, and leaves the work to the process inside them.
pub(crate) fn place(cli: &Cli, inside: bool, arguments: &[OsString]) -> anyhow::Result<Place> {
    if inside {
        return Ok(Place::Here(Some(node::up::inside()?)));
    }
    if !cli.needs_node() {
        return Ok(Place::Here(None));
    }
    // The user's own number and network are here, and only here.
    if cli.needs_postgresql()
        && let Err(missing) = postgresql_requirement()
    {
        // The exercises without a database can run.
        writeln!(io::stderr(), "warning: {missing}")?;
    }
    if let Some(file) = cli.kubeconfig() {
        reserve(file)?;
    }
    let arguments = arguments.iter().skip(1).cloned();
    Ok(Place::Ended(node::up::enter(arguments, cli.kubeconfig())?))
}

/// Makes the file before there is anything in it that others must not read.
fn reserve(file: &Path) -> anyhow::Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    made.with_context(|| {
        let file = file.display();
        format!("writing {file} (if it is there, another node may use it: remove it, or give --kubeconfig FILE)")
    })?;
    Ok(())
}

/// The node's address in the pods' network.
const NODE: Ipv4Addr = node::runtime::local::GATEWAY;

/// A node that runs.
pub(crate) struct Embedded {
    pub(crate) node: Node,
    pub(crate) clock: Clock,
    /// How headings and verdicts name it.
    pub(crate) engine: String,
}

impl Embedded {
    /// Starts a node whose files are in `folder`.
    pub(crate) async fn start(
        arguments: &NodeArguments,
        folder: Option<&Path>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let folder = folder.context("a node runs only inside its namespaces")?;
        let clock = Clock::new(Timestamp::now(), arguments.speed);
        let runtime = Local::start(clock.clone(), images(arguments)?, folder)
            .await
            .context("making the pod network")?;
        let proxy = Proxy::new(runtime.pod_network(), NODE);
        let options = Options {
            clock: clock.clone(),
            runtime: Arc::new(runtime),
            load_balancer: Arc::new(proxy.load_balancer()),
            name: "selfheal".to_owned(),
            ip: NODE.to_string(),
            jitter: true,
        };
        let node = Node::start(options, shutdown.clone())
            .await
            .context("starting the node")?;
        tokio::spawn(proxy.run(node.client(), shutdown));
        Ok(Self {
            node,
            clock,
            engine: engine(arguments.speed),
        })
    }

    /// A client over TLS, like anybody else's: the client within the process cannot attach to a command.
    pub(crate) async fn served(&self, stop: CancellationToken) -> anyhow::Result<Client> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let credentials = Credentials::generate().context("making a certificate")?;
        let kubeconfig = credentials.kubeconfig(listener.local_addr()?);
        let api = self.node.api().clone();
        tokio::spawn(async move { serve(&api, listener, &credentials, stop).await });
        let (client, _) = client_of(Kubeconfig::from_yaml(&kubeconfig)?).await?;
        Ok(client)
    }
}

fn engine(speed: f64) -> String {
    let base = "embedded node: real processes on this machine";
    if (speed - 1.0).abs() < f64::EPSILON {
        base.to_owned()
    } else {
        format!("{base}, clock at {speed} times its pace")
    }
}

/// This executable's workloads, and what the command line adds.
fn images(arguments: &NodeArguments) -> anyhow::Result<Images> {
    let executable = std::env::current_exe().context("finding this program's executable")?;
    let mut images = workloads::images(&executable);
    for (name, program) in &arguments.images {
        images.insert_override(name, workloads::program_of(program));
    }
    Ok(images)
}
