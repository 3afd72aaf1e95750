//! The controllers of kube-controller-manager: each watches what it needs through the API and brings the objects closer to what they ask for.
//!
//! None calls another, and none knows the store. They share the informers, so one watch a kind serves them all.

mod deployment;
mod disruption;
mod endpoints;
mod gc;
mod meta;
mod namespace;
mod replicaset;
mod service;

use std::sync::Arc;

use component_helpers::controller::{Context, Controllers};
use component_helpers::load_balancer::LoadBalancer;
use tokio::task::JoinSet;

/// Why one piece of a controller's work failed; it is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The API refused, or did not answer.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// Pods could not be made or deleted.
    #[error("{0}")]
    Replicas(String),
    /// The load balancer refused.
    #[error("failed to ensure load balancer: {0}")]
    LoadBalancer(String),
    /// What must go first is still there.
    #[error("{0} still has objects")]
    Remaining(String),
}

/// Starts every controller; services of type LoadBalancer are exposed by `load_balancer`. All handlers are registered when this
/// returns.
pub fn start(context: &Context, load_balancer: Arc<dyn LoadBalancer>, tasks: &mut JoinSet<()>) {
    let mut controllers = Controllers { context, tasks };
    controllers.start("deployment-controller", deployment::controller);
    controllers.start("replicaset-controller", replicaset::of_replica_sets);
    controllers.start(
        "replicationcontroller-controller",
        replicaset::of_replication_controllers,
    );
    controllers.start("disruption-controller", disruption::controller);
    controllers.start("endpoints-controller", endpoints::controller);
    controllers.start("endpointslice-controller", endpoints::slices::controller);
    controllers.start("service-lb-controller", |context| {
        service::controller(context, load_balancer)
    });
    controllers.start("namespace-controller", namespace::controller);
    controllers.start("garbage-collector-controller", gc::controller);
}
