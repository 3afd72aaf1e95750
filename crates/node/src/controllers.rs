//! The controllers: each watches what it needs through the API and brings the objects closer to what they ask for.
//!
//! None calls another, and none knows the store. They share the informers, so one watch a kind serves them all.

mod deployment;
mod disruption;
mod endpoints;
mod gc;
mod informer;
mod meta;
mod namespace;
mod pods;
mod queue;
mod replicaset;
mod scheduler;
mod service;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, Pod, PodTemplate, ReplicationController, Secret,
    Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Client;
use kube::api::Api;
use probe::Clock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::events::Recorder;
use crate::runtime::LoadBalancer;
use informer::Informer;
use queue::{Queue, Reconcile};

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

/// What every controller is given.
#[derive(Clone)]
struct Context {
    client: Client,
    clock: Clock,
    informers: Arc<Informers>,
    shutdown: CancellationToken,
}

impl Context {
    fn recorder(&self, component: &str) -> Recorder {
        Recorder::new(
            self.client.clone(),
            self.clock.clone(),
            component,
            None,
            self.shutdown.clone(),
        )
    }
}

/// One cache a kind.
#[derive(Default)]
struct Informers {
    budgets: Informer<PodDisruptionBudget>,
    config_maps: Informer<ConfigMap>,
    deployments: Informer<Deployment>,
    endpoints: Informer<Endpoints>,
    leases: Informer<Lease>,
    namespaces: Informer<Namespace>,
    nodes: Informer<Node>,
    network_policies: Informer<NetworkPolicy>,
    pod_templates: Informer<PodTemplate>,
    pods: Informer<Pod>,
    replication_controllers: Informer<ReplicationController>,
    secrets: Informer<Secret>,
    service_accounts: Informer<ServiceAccount>,
    services: Informer<Service>,
    sets: Informer<ReplicaSet>,
    slices: Informer<EndpointSlice>,
}

impl Informers {
    fn start(&self, client: &Client, tasks: &mut JoinSet<()>) {
        tasks.spawn(self.budgets.clone().run(Api::all(client.clone())));
        tasks.spawn(self.config_maps.clone().run(Api::all(client.clone())));
        tasks.spawn(self.deployments.clone().run(Api::all(client.clone())));
        tasks.spawn(self.endpoints.clone().run(Api::all(client.clone())));
        tasks.spawn(self.leases.clone().run(Api::all(client.clone())));
        tasks.spawn(self.namespaces.clone().run(Api::all(client.clone())));
        tasks.spawn(self.nodes.clone().run(Api::all(client.clone())));
        tasks.spawn(self.network_policies.clone().run(Api::all(client.clone())));
        tasks.spawn(self.pod_templates.clone().run(Api::all(client.clone())));
        tasks.spawn(self.pods.clone().run(Api::all(client.clone())));
        let controllers = self.replication_controllers.clone();
        tasks.spawn(controllers.run(Api::all(client.clone())));
        tasks.spawn(self.secrets.clone().run(Api::all(client.clone())));
        tasks.spawn(self.service_accounts.clone().run(Api::all(client.clone())));
        tasks.spawn(self.services.clone().run(Api::all(client.clone())));
        tasks.spawn(self.sets.clone().run(Api::all(client.clone())));
        tasks.spawn(self.slices.clone().run(Api::all(client.clone())));
    }

    async fn synced(&self) {
        self.budgets.synced().await;
        self.config_maps.synced().await;
        self.deployments.synced().await;
        self.endpoints.synced().await;
        self.leases.synced().await;
        self.namespaces.synced().await;
        self.nodes.synced().await;
        self.network_policies.synced().await;
        self.pod_templates.synced().await;
        self.pods.synced().await;
        self.replication_controllers.synced().await;
        self.secrets.synced().await;
        self.service_accounts.synced().await;
        self.services.synced().await;
        self.sets.synced().await;
        self.slices.synced().await;
    }
}

/// Runs every controller until `shutdown`. Pods are placed on `node_name`; services of type LoadBalancer are answered
/// for by `load_balancer`.
pub async fn run(
    client: Client,
    clock: Clock,
    load_balancer: Arc<dyn LoadBalancer>,
    node_name: String,
    shutdown: CancellationToken,
) {
    let informers = Arc::new(Informers::default());
    let context = Context {
        client,
        clock,
        informers,
        shutdown: shutdown.clone(),
    };
    let mut tasks = JoinSet::new();
    start(
        &mut tasks,
        &context,
        "deployment",
        deployment::controller(&context),
    );
    start(
        &mut tasks,
        &context,
        "replicaset",
        replicaset::of_replica_sets(&context),
    );
    start(
        &mut tasks,
        &context,
        "replicationcontroller",
        replicaset::of_replication_controllers(&context),
    );
    start(
        &mut tasks,
        &context,
        "disruption",
        disruption::controller(&context),
    );
    start(
        &mut tasks,
        &context,
        "endpoints",
        endpoints::controller(&context),
    );
    start(
        &mut tasks,
        &context,
        "endpointslice",
        endpoints::slices::controller(&context),
    );
    start(
        &mut tasks,
        &context,
        "scheduler",
        scheduler::controller(&context, node_name),
    );
    start(
        &mut tasks,
        &context,
        "service",
        service::controller(&context, load_balancer),
    );
    start(
        &mut tasks,
        &context,
        "namespace",
        namespace::controller(&context),
    );
    start(
        &mut tasks,
        &context,
        "garbage-collector",
        gc::controller(&context),
    );
    // Every handler is in place by now, so none misses the first list.
    context.informers.start(&context.client, &mut tasks);
    shutdown.cancelled().await;
    tasks.shutdown().await;
}

fn start<R: Reconcile + 'static>(
    tasks: &mut JoinSet<()>,
    context: &Context,
    name: &'static str,
    parts: (Queue, R),
) {
    let (queue, reconciler) = parts;
    let context = context.clone();
    tasks.spawn(async move {
        context.informers.synced().await;
        queue.work(name, &context.clock, &reconciler).await;
    });
}
