//! A node on a virtual clock with scripted workloads: an exercise on it takes no time and needs nothing of the kernel.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use async_trait::async_trait;
use component_helpers::load_balancer::LoadBalancer;
use component_helpers::supervisor::Supervisor;
use container_runtime::scripted::{ScriptedRuntime, Workloads};
use http::{Request, Response};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EndpointSubset, Endpoints, Service, ServicePort};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use node::{DEFAULT_MAX_PODS, Node, Options};
use probe::Clock;
use tokio_util::sync::CancellationToken;

use crate::exercise::http::Caller;

/// A node that is simulated.
pub(crate) struct Simulated {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) caller: Services,
}

/// How headings and verdicts name it.
pub(crate) const ENGINE: &str = "simulated: scripted workloads on a virtual clock";

impl Simulated {
    /// Starts a node. The runtime's time is paused, so it advances whenever everyone waits.
    pub(crate) async fn start(shutdown: CancellationToken) -> anyhow::Result<Self> {
        let clock = Clock::new(Timestamp::now(), 1.0);
        let runtime = Arc::new(ScriptedRuntime::new(clock.clone(), Workloads::chapter()));
        let options = Options {
            supervisor: Supervisor::new(clock.clone(), shutdown),
            runtime: runtime.clone(),
            load_balancer: Arc::new(Loopback),
            name: "simulated".to_owned(),
            ip: "10.244.0.1".to_owned(),
            jitter: false,
            max_pods: DEFAULT_MAX_PODS,
        };
        let node = Node::start(options).await.context("starting the node")?;
        let client = node.client();
        let caller = Services {
            client: client.clone(),
            runtime,
            calls: AtomicUsize::new(0),
        };
        Ok(Self {
            client,
            clock,
            caller,
        })
    }
}

/// Services answer at the loopback address, as on the real node.
struct Loopback;

#[async_trait]
impl LoadBalancer for Loopback {
    async fn ensure(&self, _: &str, _: &str, _: &[u16]) -> Result<Ipv4Addr, String> {
        Ok(Ipv4Addr::LOCALHOST)
    }

    async fn release(&self, _: &str, _: &str) {}
}

/// Calls services as the proxy would: the ready pods in turn.
pub(crate) struct Services {
    client: Client,
    runtime: Arc<ScriptedRuntime>,
    calls: AtomicUsize,
}

#[async_trait]
impl Caller for Services {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        let url = request.uri().to_string();
        let (port, path) = (request.uri().port_u16().unwrap_or(80), request.uri().path());
        let refused = || format!("{} {url}: connection refused", request.method());
        let (address, port) = self.backend(port).await?.with_context(refused)?;
        let (status, body) = self
            .runtime
            .http_get(address, port, path)
            .with_context(refused)?;
        Ok(Response::builder().status(status).body(body)?)
    }
}

impl Services {
    /// The next ready pod behind the service that answers at `port`.
    async fn backend(&self, port: u16) -> anyhow::Result<Option<(Ipv4Addr, u16)>> {
        let services: Api<Service> = Api::all(self.client.clone());
        for service in services.list(&ListParams::default()).await? {
            let ports = service
                .spec
                .iter()
                .flat_map(|spec| spec.ports.iter().flatten());
            let Some(found) = ports.clone().find(|found| found.port == i32::from(port)) else {
                continue;
            };
            let namespace = service.namespace().unwrap_or_default();
            let endpoints: Api<Endpoints> = Api::namespaced(self.client.clone(), &namespace);
            let endpoints = endpoints.get_opt(&service.name_any()).await?;
            let subsets = endpoints
                .and_then(|endpoints| endpoints.subsets)
                .unwrap_or_default();
            let ready: Vec<_> = subsets
                .iter()
                .flat_map(|subset| addresses(subset, found))
                .collect();
            let turn = self.calls.fetch_add(1, Ordering::Relaxed);
            return Ok(ready.get(turn % ready.len().max(1)).copied());
        }
        Ok(None)
    }
}

fn addresses(subset: &EndpointSubset, service: &ServicePort) -> Vec<(Ipv4Addr, u16)> {
    let mut ports = subset.ports.iter().flatten();
    let port = ports
        .find(|port| port.name == service.name)
        .and_then(|port| u16::try_from(port.port).ok());
    let addresses = subset
        .addresses
        .iter()
        .flatten()
        .filter_map(|address| address.ip.parse().ok());
    addresses
        .filter_map(|address| Some((address, port?)))
        .collect()
}
