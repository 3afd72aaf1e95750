//! Connection to a cluster: kubeconfig, context and namespace.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Cluster of the exercises.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArguments {
    /// Kubeconfig of a cluster. Default: a node in this process
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig. Default: its current context
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub(crate) context: Option<String>,

    /// Namespace of the exercises; created if it does not exist, and then deleted. Default: a new namespace
    /// selfheal-exercise-…, deleted at the end
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    /// Address of one of the cluster's nodes: services are called at their node ports. For clusters without load balancers,
    /// for example kind
    #[arg(long, value_name = "HOST", requires = "kubeconfig")]
    pub(crate) node_address: Option<String>,
}

/// A client of a cluster and the name of its context.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) context: String,
}

/// Connects to the cluster of a kubeconfig.
///
/// # Errors
/// When the file cannot be read or does not have the context.
pub(crate) async fn connect(file: &Path, context: Option<&str>) -> anyhow::Result<Connection> {
    let opened = std::fs::File::open(file).map(drop);
    opened.with_context(|| format!("--kubeconfig {}", file.display()))?;
    // The texts of kube's errors contain those of their sources already.
    let invalid =
        |error: kube::config::KubeconfigError| anyhow!("--kubeconfig {}: {error}", file.display());
    let kubeconfig = Kubeconfig::read_from(file).map_err(invalid)?;
    let context = match context {
        Some(context) => context.to_owned(),
        None => kubeconfig.current_context.clone().unwrap_or_default(),
    };
    let names: Vec<_> = kubeconfig
        .contexts
        .iter()
        .map(|context| context.name.as_str())
        .collect();
    if !names.contains(&context.as_str()) {
        bail!(
            "--kubeconfig {}: there is no context {context:?}; contexts: {}",
            file.display(),
            names.join(", ")
        );
    }
    let options = KubeConfigOptions {
        context: Some(context.clone()),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(invalid)?;
    let client = Client::try_from(config)?;
    Ok(Connection { client, context })
}

/// Creates a client of the current context.
pub(crate) async fn connect_to_current_context(kubeconfig: Kubeconfig) -> anyhow::Result<Client> {
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
