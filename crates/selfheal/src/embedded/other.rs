//! Other systems than Linux: a node is not supported.

use std::ffi::OsString;
use std::path::Path;

use kube::Client;
use probe::Clock;
use tokio_util::sync::CancellationToken;

use super::{Entered, ImageProblem};
use crate::cli::{Cli, NodeArguments};

pub(crate) const NODE_ROLE: &str = "__node-init";

const NEEDS_LINUX: &str = "a node needs Linux: run on a cluster with --kubeconfig FILE, or on scripted workloads with --simulated";

pub(crate) fn enter_namespaces(cli: &mut Cli, _: bool, _: &[OsString]) -> anyhow::Result<Entered> {
    anyhow::ensure!(!cli.needs_node(), NEEDS_LINUX);
    Ok(Entered::Continue(None))
}

pub(crate) fn test_namespaces() -> Result<(), String> {
    Err(NEEDS_LINUX.to_owned())
}

pub(crate) fn image_problem(_: &NodeArguments, _: &str) -> anyhow::Result<Option<ImageProblem>> {
    Ok(None)
}

pub(crate) struct Embedded {
    pub(crate) node: node::EmbeddedNode,
    pub(crate) clock: Clock,
    pub(crate) engine: String,
}

impl Embedded {
    pub(crate) async fn start(
        _: &NodeArguments,
        _: Clock,
        _: Option<&Path>,
        _: CancellationToken,
    ) -> anyhow::Result<Self> {
        anyhow::bail!(NEEDS_LINUX)
    }

    pub(crate) async fn serve(&self, _: CancellationToken) -> anyhow::Result<Client> {
        anyhow::bail!(NEEDS_LINUX)
    }
}
