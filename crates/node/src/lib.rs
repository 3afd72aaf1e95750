//! A Kubernetes node in one process: puts API server, controllers, scheduler and kubelet together on one clock.
//!
//! Everything above the API is a Kubernetes client: the components are given a [`kube::Client`] that speaks to the API router
//! in this process, and none of them calls another.

#[cfg(target_os = "linux")]
pub mod up;

use std::collections::BTreeMap;
use std::sync::Arc;

use apiserver::api::Api;
use component_helpers::controller::Context;
use component_helpers::events::Recorder;
use component_helpers::load_balancer::LoadBalancer;
use component_helpers::supervisor::{Reporter, Supervisor, healthy_condition};
use component_helpers::{CLUSTER_DNS, VERSION};
use container_runtime::Runtime;
use k8s_openapi::api::core::v1::{Node as NodeObject, ServiceAccount};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use kube::{Api as Objects, Client};
use probe::backoff::BackoffLimits;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

/// What a node is made from.
pub struct Options {
    /// Runs the node's components; has their clock and the token that stops them.
    pub supervisor: Supervisor,
    /// What runs its pods.
    pub runtime: Arc<dyn Runtime>,
    /// What makes its services answer outside the pod network.
    pub load_balancer: Arc<dyn LoadBalancer>,
    /// Its name.
    pub name: String,
    /// Its address in the pod network.
    pub ip: String,
    /// Whether waits are spread at random, as on a real node; a virtual clock does without.
    pub jitter: bool,
    /// Maximum number of pods: the kubelet's `--max-pods`.
    pub max_pods: u32,
}

/// Default of [`Options::max_pods`].
pub const DEFAULT_MAX_PODS: u32 = 250;

/// A node that runs. Cancel its supervisor's token to end it.
pub struct Node {
    api: Api,
    tasks: TaskTracker,
}

impl Node {
    /// Starts a node, and returns when pods can be made in its default namespace.
    ///
    /// # Errors
    /// When the node's own object cannot be made.
    pub async fn start(options: Options) -> Result<Self, kube::Error> {
        let supervisor = options.supervisor.clone();
        let api = Api::new(supervisor.clock().clone())
            .with_supervisor(supervisor.clone())
            .with_runtime(options.runtime.clone());
        let client = api.client();
        let allocatable = allocatable(options.max_pods);
        register(&client, &options, &allocatable).await?;
        let tasks = TaskTracker::new();
        tasks.spawn(report_components(&supervisor, &client, &options.name));
        tasks.spawn(run_controllers(
            client.clone(),
            supervisor.clone(),
            options.load_balancer,
            options.name.clone(),
        ));
        let config = kubelet::Config {
            node_name: options.name,
            node_ip: options.ip,
            cluster_dns: CLUSTER_DNS,
            allocatable,
            max_pods: usize::try_from(options.max_pods).unwrap_or(usize::MAX),
            back_off: BackoffLimits::default(),
            jitter: options.jitter,
        };
        tasks.spawn(kubelet::run(
            client.clone(),
            supervisor.clone(),
            options.runtime,
            config,
        ));
        tasks.close();
        // The last thing that a controller makes of what every cluster has.
        let accounts = Objects::<ServiceAccount>::namespaced(client, "default");
        let is_there = |account: Option<&ServiceAccount>| account.is_some();
        let equipped = await_condition(accounts, "default", is_there);
        // A watch that fails is no reason to do without the node: its clients only have to try again.
        drop(supervisor.shutdown().run_until_cancelled(equipped).await);
        Ok(Self { api, tasks })
    }

    /// A client of its API that needs no socket.
    #[must_use]
    pub fn client(&self) -> Client {
        self.api.client()
    }

    /// Its API, for whoever serves it.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Returns once everything has ended after its token was cancelled.
    pub async fn ended(&self) {
        self.tasks.wait().await;
    }
}

/// Runs the controllers and the scheduler, which share informers, until the node shuts down.
async fn run_controllers(
    client: Client,
    supervisor: Supervisor,
    load_balancer: Arc<dyn LoadBalancer>,
    node_name: String,
) {
    let context = Context::new(client, &supervisor);
    let mut tasks = JoinSet::new();
    controller_manager::start(&context, load_balancer, &mut tasks);
    scheduler::start(&context, node_name, &mut tasks);
    // All handlers are registered by now, so none misses the first list.
    context.start_informers(&mut tasks);
    supervisor.shutdown().cancelled().await;
    tasks.shutdown().await;
}

/// Reports the components' health through the API.
fn report_components(
    supervisor: &Supervisor,
    client: &Client,
    node_name: &str,
) -> impl Future<Output = ()> + Send + use<> {
    let host = Some(node_name);
    let recorder = Recorder::new(client.clone(), supervisor, "supervisor", host);
    Reporter::new(supervisor, client.clone(), recorder, node_name.to_owned()).run()
}

/// Returns the host's resources that pods can use.
fn allocatable(max_pods: u32) -> BTreeMap<String, Quantity> {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpus = ("cpu", cpus.to_string());
    let pods = ("pods", max_pods.to_string());
    let known = [cpus, pods].into_iter().chain(memory());
    known
        .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
        .collect()
}

#[cfg(target_os = "linux")]
fn memory() -> Option<(&'static str, String)> {
    let kibibytes = nix::sys::sysinfo::sysinfo().ok()?.ram_total() / 1024;
    Some(("memory", format!("{kibibytes}Ki")))
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<(&'static str, String)> {
    None
}

/// Makes the node's own object, ready from the start.
async fn register(
    client: &Client,
    options: &Options,
    resources: &BTreeMap<String, Quantity>,
) -> Result<(), kube::Error> {
    let clock = options.supervisor.clock();
    let components = json!(healthy_condition(&[], clock.now()));
    let now = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    });
    let object = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": options.name, "labels": {"kubernetes.io/hostname": options.name, "kubernetes.io/os": "linux"}},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [ready, components],
            "addresses": [
                {"type": "InternalIP", "address": options.ip},
                {"type": "Hostname", "address": options.name},
            ],
            "nodeInfo": {
                "kubeletVersion": VERSION, "kubeProxyVersion": "", "containerRuntimeVersion": "selfheal://0.1.0",
                "operatingSystem": "linux", "architecture": std::env::consts::ARCH, "osImage": "", "kernelVersion": "",
                "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    });
    let object: NodeObject = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
    Objects::<NodeObject>::all(client.clone())
        .create(&PostParams::default(), &object)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
