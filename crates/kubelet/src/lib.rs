//! The kubelet: runs the pods that are bound to its node and says how they are.
//!
//! It is a Kubernetes client and knows its runtime only as a trait. One serial worker a pod decides and acts; a second
//! task a pod publishes its status, so that readiness changes show even while the worker waits for a container to end.
//! The rules are pure and have files of their own: [`actions`], [`init`], [`status`], [`instance`].

pub mod actions;
mod dns;
mod downward;
mod environment;
mod hooks;
pub mod init;
pub mod instance;
mod pods;
mod prober;
mod publisher;
mod sink;
pub mod status;
mod volumes;
mod worker;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use component_helpers::events::Recorder;
use component_helpers::supervisor::{Component, Supervisor};
use container_runtime::Runtime;
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::Client;
use probe::backoff::BackoffLimits;
use probe::{Clock, Manager, ManagerOptions, StartDelay};

use self::downward::Facts;

/// What a kubelet is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its node's name.
    pub node_name: String,
    /// Its node's address.
    pub node_ip: String,
    /// Whom pods ask for names.
    pub cluster_dns: Ipv4Addr,
    /// What its node has for all pods.
    pub allocatable: BTreeMap<String, Quantity>,
    /// Maximum number of pods.
    pub max_pods: usize,
    /// How long containers that end again and again wait.
    pub back_off: BackoffLimits,
    /// Whether waits and first probes are spread at random, as they are on a real node.
    pub jitter: bool,
}

/// What every part of the kubelet is given.
struct Context {
    client: Client,
    clock: Clock,
    runtime: Arc<dyn Runtime>,
    probes: Manager,
    events: Recorder,
    config: Config,
    components: Components,
}

/// The kubelet's components, of which each pod has a worker and a status manager.
struct Components {
    pod_worker: Component,
    status_manager: Component,
}

impl Context {
    /// What a pod may know of itself.
    fn facts<'a>(&'a self, pod: &'a Pod, ip: Option<Ipv4Addr>) -> Facts<'a> {
        Facts {
            pod,
            pod_ip: ip.map(|ip| ip.to_string()).unwrap_or_default(),
            node_ip: &self.config.node_ip,
            allocatable: &self.config.allocatable,
        }
    }
}

/// Runs pods until the node shuts down.
pub async fn run(
    client: Client,
    supervisor: Supervisor,
    runtime: Arc<dyn Runtime>,
    config: Config,
) {
    let clock = supervisor.clock().clone();
    let host = Some(config.node_name.as_str());
    let events = Recorder::new(client.clone(), &supervisor, "kubelet", host);
    let options = ManagerOptions {
        host_started_at: clock.now(),
        start_delay: if config.jitter {
            StartDelay::Random
        } else {
            StartDelay::None
        },
        change_status_on_restart: false,
    };
    let sink = Arc::new(sink::Sink(events.clone()));
    let prober = prober::SupervisedProber {
        prober: runtime.prober(),
        component: supervisor.component("prober"),
    };
    let (probes, updates) = Manager::new(clock.clone(), Arc::new(prober), sink, options);
    let components = Components {
        pod_worker: supervisor.component("pod-worker"),
        status_manager: supervisor.component("status-manager"),
    };
    let context = Context {
        client,
        clock,
        runtime,
        probes,
        events,
        config,
        components,
    };
    let component = supervisor.component("kubelet");
    let pods = pods::Pods::new(Arc::new(context), updates, component.clone());
    component.run("", pods, |pods| pods.run().boxed()).await;
}
