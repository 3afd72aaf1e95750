//! A Kubernetes node in one process: runs API server, controllers, scheduler and kubelet on one clock.
//!
//! Controllers, scheduler and kubelet are Kubernetes clients: each has a [`kube::Client`] that calls the API server's router
//! in this process, and none of them calls another.

#[cfg(target_os = "linux")]
pub mod namespaces;
mod node_info;
mod registration;

use std::sync::Arc;

use apiserver::api::Api;
use component_helpers::CLUSTER_DNS;
use component_helpers::controller::Context;
use component_helpers::events::Recorder;
use component_helpers::load_balancer::LoadBalancer;
use component_helpers::supervisor::{Reporter, Supervisor};
use container_runtime::Runtime;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::runtime::wait::await_condition;
use kube::{Api as Objects, Client};
use probe::backoff::BackoffLimits;
use tokio::task::JoinSet;

use self::registration::{allocatable, register};

/// Options of a node.
pub struct Options {
    /// Supervisor of the node's components, with their clock and the token that stops them.
    pub supervisor: Supervisor,
    /// Container runtime of the kubelet.
    pub runtime: Arc<dyn Runtime>,
    /// Implementation of services of type LoadBalancer.
    pub load_balancer: Arc<dyn LoadBalancer>,
    /// Name of the node.
    pub name: String,
    /// IP address of the node in the pod network.
    pub ip: String,
    /// `true` if the kubelet's intervals get a random delay, as on a real node; `false` for reproducible runs.
    pub jitter: bool,
    /// Maximum number of pods: the kubelet's `--max-pods`.
    pub max_pods: u32,
}

/// Default of [`Options::max_pods`].
pub const DEFAULT_MAX_PODS: u32 = 250;

/// A running node. The token of its supervisor stops it.
pub struct EmbeddedNode {
    api: Api,
}

impl EmbeddedNode {
    /// Starts a node. Returns when pods can be created in the namespace `default`.
    ///
    /// # Errors
    /// If the node's object cannot be created.
    pub async fn start(options: Options) -> Result<Self, kube::Error> {
        let supervisor = options.supervisor.clone();
        let api = Api::new(supervisor.clock().clone())
            .with_supervisor(supervisor.clone())
            .with_runtime(options.runtime.clone());
        let client = api.client();
        let allocatable = allocatable(options.max_pods);
        register(&client, &options, &allocatable).await?;
        tokio::spawn(report_components(&supervisor, &client, &options.name));
        tokio::spawn(run_controllers(
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
        tokio::spawn(kubelet::run(
            client.clone(),
            supervisor.clone(),
            options.runtime,
            config,
        ));
        // Waits for the default service account: it is the last bootstrap object that a controller creates.
        let accounts = Objects::<ServiceAccount>::namespaced(client, "default");
        let exists = |account: Option<&ServiceAccount>| account.is_some();
        let bootstrapped = await_condition(accounts, "default", exists);
        // A failed watch is not an error of the node: a client that creates a pod too early can retry.
        drop(
            supervisor
                .shutdown()
                .run_until_cancelled(bootstrapped)
                .await,
        );
        Ok(Self { api })
    }

    /// Returns a client that calls the API in this process, without a socket.
    #[must_use]
    pub fn client(&self) -> Client {
        self.api.client()
    }

    /// Returns the API, for a server.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
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
    // Started after the registration of all handlers, so that none misses the first list.
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

#[cfg(test)]
mod tests;
