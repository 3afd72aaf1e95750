//! A node on a virtual clock with scripted workloads: an exercise takes seconds of real time and needs no privileges.

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
use node::{DEFAULT_MAX_PODS, EmbeddedNode, Options};
use probe::Clock;
use tokio_util::sync::CancellationToken;

use crate::exercise::http::HttpClient;

/// A simulated node.
pub(crate) struct Simulated {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) services: SimulatedServices,
}

/// Name of the engine in headings and reports.
pub(crate) const ENGINE: &str = "simulated: scripted workloads on a virtual clock";

impl Simulated {
    /// Starts a node. The time of the tokio runtime is paused, so it advances when all tasks wait.
    pub(crate) async fn start(shutdown: CancellationToken) -> anyhow::Result<Self> {
        let clock = Clock::new(Timestamp::now(), 1.0);
        let runtime = Arc::new(ScriptedRuntime::new(clock.clone(), Workloads::chapter()));
        let options = Options {
            supervisor: Supervisor::new(clock.clone(), shutdown),
            runtime: runtime.clone(),
            load_balancer: Arc::new(LoopbackLoadBalancer),
            name: "simulated".to_owned(),
            ip: "10.244.0.1".to_owned(),
            jitter: false,
            max_pods: DEFAULT_MAX_PODS,
        };
        let node = EmbeddedNode::start(options)
            .await
            .context("starting the node")?;
        let client = node.client();
        let services = SimulatedServices {
            client: client.clone(),
            runtime,
            requests: AtomicUsize::new(0),
        };
        Ok(Self {
            client,
            clock,
            services,
        })
    }
}

/// Gives services the loopback address, as the embedded node does.
struct LoopbackLoadBalancer;

#[async_trait]
impl LoadBalancer for LoopbackLoadBalancer {
    async fn ensure(&self, _: &str, _: &str, _: &[u16]) -> Result<Ipv4Addr, String> {
        Ok(Ipv4Addr::LOCALHOST)
    }

    async fn release(&self, _: &str, _: &str) {}
}

/// HTTP client for services: sends requests to the ready pods in turn, as the proxy does.
pub(crate) struct SimulatedServices {
    client: Client,
    runtime: Arc<ScriptedRuntime>,
    requests: AtomicUsize,
}

#[async_trait]
impl HttpClient for SimulatedServices {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        let url = request.uri().to_string();
        let (port, path) = (request.uri().port_u16().unwrap_or(80), request.uri().path());
        let refused = || format!("{} {url}: connection refused", request.method());
        let (address, port) = self.next_backend(port).await?.with_context(refused)?;
        let (status, body) = self
            .runtime
            .http_get(address, port, path)
            .with_context(refused)?;
        Ok(Response::builder().status(status).body(body)?)
    }
}

impl SimulatedServices {
    /// Returns address and port of the next ready pod of the service with this port.
    async fn next_backend(&self, port: u16) -> anyhow::Result<Option<(Ipv4Addr, u16)>> {
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
                .flat_map(|subset| backends(subset, found))
                .collect();
            let turn = self.requests.fetch_add(1, Ordering::Relaxed);
            return Ok(ready.get(turn % ready.len().max(1)).copied());
        }
        Ok(None)
    }
}

fn backends(subset: &EndpointSubset, service: &ServicePort) -> Vec<(Ipv4Addr, u16)> {
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
