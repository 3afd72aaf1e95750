//! Other systems than Linux: a node is not supported.

use std::ffi::OsString;
use std::path::Path;

use kube::Client;
use probe::Clock;
use tokio_util::sync::CancellationToken;

use super::{ImageProblem, Place};
use crate::cli::{Cli, NodeArguments};

pub(crate) const INSIDE: &str = "__node-init";

const MESSAGE: &str = "a node needs Linux: run on a cluster with --kubeconfig FILE, or on scripted workloads with --simulated";

pub(crate) fn place(cli: &mut Cli, _: bool, _: &[OsString]) -> anyhow::Result<Place> {
    anyhow::ensure!(!cli.needs_node(), MESSAGE);
    Ok(Place::Here(None))
}

pub(crate) fn test_namespaces() -> Result<(), String> {
    Err(MESSAGE.to_owned())
}

pub(crate) fn image_problem(_: &NodeArguments, _: &str) -> anyhow::Result<Option<ImageProblem>> {
    Ok(None)
}

pub(crate) struct Embedded {
    pub(crate) node: node::Node,
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
        anyhow::bail!(MESSAGE)
    }

    pub(crate) async fn served(&self, _: CancellationToken) -> anyhow::Result<Client> {
        anyhow::bail!(MESSAGE)
    }
}
