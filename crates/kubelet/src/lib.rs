//! The kubelet: runs the pods that are bound to its node and reports their status.
//!
//! The kubelet is a Kubernetes client and uses the container runtime through a trait. Each pod has two tasks: a serial
//! pod worker starts and stops its containers, and a status manager writes its status. The tasks are separate so that a
//! readiness change is published while the worker waits for a container to terminate.
//! The rules are pure functions in modules of their own: `actions`, `init`, `status`, `instance`.

mod actions;
mod container_handle;
mod dns;
mod downward;
mod environment;
mod hooks;
mod init;
mod instance;
mod pods;
mod probe_events;
mod prober;
mod status;
mod status_manager;
#[cfg(test)]
mod test_fixtures;
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

use self::downward::DownwardContext;

/// Configuration of the kubelet.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of the node.
    pub node_name: String,
    /// IP address of the node.
    pub node_ip: String,
    /// IP address of the cluster's DNS server, written to pods' resolv.conf (`--cluster-dns`).
    pub cluster_dns: Ipv4Addr,
    /// Resources of the node that pods can use: the default of limits in the downward API.
    pub allocatable: BTreeMap<String, Quantity>,
    /// Maximum number of pods (`--max-pods`).
    pub max_pods: usize,
    /// Limits of the restart back-off (`CrashLoopBackOff`).
    pub back_off: BackoffLimits,
    /// `true` if resync intervals and first probes get a random delay, as on a real node.
    pub jitter: bool,
}

/// Dependencies shared by all parts of the kubelet.
struct Context {
    client: Client,
    clock: Clock,
    runtime: Arc<dyn Runtime>,
    probes: Manager,
    events: Recorder,
    config: Config,
    components: Components,
}

/// Supervised components of a pod: its worker and its status manager.
struct Components {
    pod_worker: Component,
    status_manager: Component,
}

impl Context {
    /// Returns the source of the downward API's values for `pod`.
    fn downward<'a>(&'a self, pod: &'a Pod, ip: Option<Ipv4Addr>) -> DownwardContext<'a> {
        DownwardContext {
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
    let probe_events = Arc::new(probe_events::ProbeEventRecorder(events.clone()));
    let prober = prober::SupervisedProber {
        prober: runtime.prober(),
        component: supervisor.component("prober"),
    };
    let (probes, updates) = Manager::new(clock.clone(), Arc::new(prober), probe_events, options);
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
    let pods = pods::PodWorkers::new(Arc::new(context), updates, component.clone());
    component.run("", pods, |pods| pods.run().boxed()).await;
}
