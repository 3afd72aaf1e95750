//! One informer for each kind that the controllers use. They share them, so one watch for each kind serves them all.

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

use super::informer::Informer;
use crate::supervisor::Supervisor;

#[derive(Default)]
pub(super) struct Informers {
    pub(super) budgets: Informer<PodDisruptionBudget>,
    pub(super) config_maps: Informer<ConfigMap>,
    pub(super) deployments: Informer<Deployment>,
    pub(super) endpoints: Informer<Endpoints>,
    pub(super) leases: Informer<Lease>,
    pub(super) namespaces: Informer<Namespace>,
    pub(super) nodes: Informer<Node>,
    pub(super) network_policies: Informer<NetworkPolicy>,
    pub(super) pod_templates: Informer<PodTemplate>,
    pub(super) pods: Informer<Pod>,
    pub(super) replication_controllers: Informer<ReplicationController>,
    pub(super) secrets: Informer<Secret>,
    pub(super) service_accounts: Informer<ServiceAccount>,
    pub(super) services: Informer<Service>,
    pub(super) sets: Informer<ReplicaSet>,
    pub(super) slices: Informer<EndpointSlice>,
}

/// Calls a function with every informer, and with further arguments.
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

pub(super) use for_each_informer;

/// A kind with an informer.
pub(super) trait Watched:
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
    pub(super) fn start(&self, client: &Client, supervisor: &Supervisor, tasks: &mut JoinSet<()>) {
        for_each_informer!(start, self, client, supervisor, tasks);
    }

    /// Waits until every informer has its first list.
    pub(super) async fn synced(&self) {
        let mut versions = Vec::new();
        for_each_informer!(push_versions, self, &mut versions);
        for mut version in versions {
            // The sender lives in the informer, so the wait cannot fail.
            let _ = version.wait_for(Option::is_some).await;
        }
    }

    /// Notifies the handlers of every object, as if it had just been created.
    pub(super) fn redeliver_all(&self) {
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
