//! One informer for each kind that controllers use; all controllers share them, so that each kind has one watch.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, Namespace, Node, Pod, PodTemplate, ReplicationController, Secret,
    Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::Api;
use kube::{Client, Resource};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::informer::Informer;
use crate::supervisor::Supervisor;

/// The informers of all kinds that controllers use.
#[derive(Default)]
pub struct Informers {
    /// Cache of objects of the kind `PodDisruptionBudget`.
    pub budgets: Informer<PodDisruptionBudget>,
    /// Cache of objects of the kind `ConfigMap`.
    pub config_maps: Informer<ConfigMap>,
    /// Cache of objects of the kind `Deployment`.
    pub deployments: Informer<Deployment>,
    /// Cache of objects of the kind `Endpoints`.
    pub endpoints: Informer<Endpoints>,
    /// Cache of objects of the kind `Lease`.
    pub leases: Informer<Lease>,
    /// Cache of objects of the kind `Namespace`.
    pub namespaces: Informer<Namespace>,
    /// Cache of objects of the kind `Node`.
    pub nodes: Informer<Node>,
    /// Cache of objects of the kind `NetworkPolicy`.
    pub network_policies: Informer<NetworkPolicy>,
    /// Cache of objects of the kind `PodTemplate`.
    pub pod_templates: Informer<PodTemplate>,
    /// Cache of objects of the kind `Pod`.
    pub pods: Informer<Pod>,
    /// Cache of objects of the kind `ReplicationController`.
    pub replication_controllers: Informer<ReplicationController>,
    /// Cache of objects of the kind `Secret`.
    pub secrets: Informer<Secret>,
    /// Cache of objects of the kind `ServiceAccount`.
    pub service_accounts: Informer<ServiceAccount>,
    /// Cache of objects of the kind `Service`.
    pub services: Informer<Service>,
    /// Cache of objects of the kind `ReplicaSet`.
    pub sets: Informer<ReplicaSet>,
    /// Cache of objects of the kind `EndpointSlice`.
    pub slices: Informer<EndpointSlice>,
}

/// Calls a function with every informer, and with further arguments.
#[macro_export]
macro_rules! for_each_informer {
    ($call:ident, $informers:expr $(, $argument:expr)*) => {
        $call(&$informers.budgets $(, $argument)*);
        $call(&$informers.config_maps $(, $argument)*);
        $call(&$informers.deployments $(, $argument)*);
        $call(&$informers.endpoints $(, $argument)*);
        $call(&$informers.leases $(, $argument)*);
        $call(&$informers.namespaces $(, $argument)*);
        $call(&$informers.nodes $(, $argument)*);
        $call(&$informers.network_policies $(, $argument)*);
        $call(&$informers.pod_templates $(, $argument)*);
        $call(&$informers.pods $(, $argument)*);
        $call(&$informers.replication_controllers $(, $argument)*);
        $call(&$informers.secrets $(, $argument)*);
        $call(&$informers.service_accounts $(, $argument)*);
        $call(&$informers.services $(, $argument)*);
        $call(&$informers.sets $(, $argument)*);
        $call(&$informers.slices $(, $argument)*);
    };
}

pub use for_each_informer;

/// A kind with an informer.
pub trait Watched:
    Resource<DynamicType = ()>
    + Clone
    + std::fmt::Debug
    + serde::de::DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Watched for K where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

impl Informers {
    /// Starts to list and watch. Handlers that are registered later miss objects.
    pub fn start(&self, client: &Client, supervisor: &Supervisor, tasks: &mut JoinSet<()>) {
        for_each_informer!(start, self, client, supervisor, tasks);
    }

    /// Waits until every informer has its first list.
    pub async fn wait_for_sync(&self) {
        let mut versions = Vec::new();
        for_each_informer!(push_versions, self, &mut versions);
        for mut version in versions {
            // The sender lives in the informer, so the wait cannot fail.
            let _ = version.wait_for(Option::is_some).await;
        }
    }

    /// Notifies the handlers of every object, as if it had just been created.
    pub fn redeliver_all(&self) {
        for_each_informer!(redeliver_all, self);
    }
}

fn start<K: Watched>(
    informer: &Informer<K>,
    client: &Client,
    supervisor: &Supervisor,
    tasks: &mut JoinSet<()>,
) {
    let component = supervisor.component(format!("informer-{}", K::plural(&())));
    tasks.spawn(informer.clone().run(Api::all(client.clone()), component));
}

fn push_versions<K: Watched>(
    informer: &Informer<K>,
    versions: &mut Vec<watch::Receiver<Option<u64>>>,
) {
    versions.push(informer.versions());
}

fn redeliver_all<K: Watched>(informer: &Informer<K>) {
    informer.redeliver_all();
}
