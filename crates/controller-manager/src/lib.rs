//! Controllers of kube-controller-manager: each watches objects through the API and reconciles their state with their specification.
//!
//! No controller calls another or the store. They share the informers, so that each kind has one watch.

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

/// Error of a reconciliation, which is retried.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The API rejected a request, or did not respond.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// Pods could not be created or deleted.
    #[error("{0}")]
    Replicas(String),
    /// The load balancer cannot listen.
    #[error("failed to ensure load balancer: {0}")]
    LoadBalancer(String),
    /// A namespace under deletion still has objects.
    #[error("{0} still has objects")]
    Remaining(String),
}

/// Starts every controller; services of type LoadBalancer are exposed by `load_balancer`. All handlers are registered when this
/// returns.
pub fn start(context: &Context, load_balancer: Arc<dyn LoadBalancer>, tasks: &mut JoinSet<()>) {
    let mut controllers = Controllers { context, tasks };
    controllers.start("deployment-controller", deployment::controller);
    controllers.start("replicaset-controller", replicaset::replica_set_controller);
    controllers.start(
        "replicationcontroller-controller",
        replicaset::replication_controller_controller,
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
