//! The service proxy: service addresses and load balancers' ports lead to the pods that are ready.
//!
//! It is a Kubernetes client like the controllers, and forwards bytes in user space: rules in the kernel would need more
//! rights than a user's namespace has everywhere, and one machine's exercises do not notice the difference.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

mod backends;
mod balancer;
mod dns;
mod forward;

pub use balancer::Loopback;

use backends::Backends;

/// Where names are asked for: the address that clusters give their DNS service.
pub(crate) const DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// What the proxy knows of services, for whoever forwards. Clones share it.
#[derive(Clone)]
pub struct Proxy {
    backends: Arc<Backends>,
    network: Handle,
}

impl Proxy {
    /// A proxy whose connections to pods are made on `network`.
    #[must_use]
    pub fn new(network: Handle) -> Self {
        Self {
            backends: Arc::default(),
            network,
        }
    }

    /// Answers for load balancers at this machine's loopback address.
    #[must_use]
    pub fn load_balancer(&self) -> Loopback {
        Loopback::new(self.clone())
    }

    /// Serves service addresses and names until `shutdown`.
    pub async fn run(self, client: Client, shutdown: CancellationToken) {
        let names = self.network.spawn(dns::serve(self.backends.clone()));
        let _names = AbortOnDropHandle::new(names);
        shutdown.run_until_cancelled(self.follow(client)).await;
    }

    async fn follow(&self, client: Client) {
        let (services, services_writer) = reflector::store();
        let (slices, slices_writer) = reflector::store();
        self.backends.set(services.clone(), slices);
        let service_watch = watcher(
            Api::<Service>::all(client.clone()),
            watcher::Config::default(),
        );
        let slice_watch = watcher(
            Api::<EndpointSlice>::all(client),
            watcher::Config::default(),
        );
        let service_changes = service_watch
            .default_backoff()
            .reflect(services_writer)
            .map(|_| true);
        let slice_changes = slice_watch
            .default_backoff()
            .reflect(slices_writer)
            .map(|_| false);
        let mut changes = std::pin::pin!(futures::stream::select(service_changes, slice_changes));
        let mut open = HashMap::new();
        while let Some(of_service) = changes.next().await {
            if of_service {
                self.reconcile(&services, &mut open);
            }
        }
    }

    /// One listener for each port of each service address, and no other.
    fn reconcile(
        &self,
        services: &Store<Service>,
        open: &mut HashMap<(SocketAddrV4, Target), AbortOnDropHandle<()>>,
    ) {
        let wanted: Vec<_> = services
            .state()
            .iter()
            .flat_map(|service| addresses(service))
            .collect();
        open.retain(|key, _| wanted.contains(key));
        for key in wanted {
            let (address, target) = key.clone();
            open.entry(key).or_insert_with(|| {
                let serving = forward::serve_at(SocketAddr::V4(address), self.clone(), target);
                AbortOnDropHandle::new(self.network.spawn(serving))
            });
        }
    }
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) namespace: String,
    pub(crate) service: String,
    pub(crate) port: u16,
}

fn addresses(service: &Service) -> Vec<(SocketAddrV4, Target)> {
    let spec = service.spec.as_ref();
    let ip = spec.and_then(|spec| spec.cluster_ip.as_deref()?.parse::<Ipv4Addr>().ok());
    let Some(ip) = ip else {
        return Vec::new();
    };
    let ports = spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let tcp = ports.filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
    tcp.filter_map(|port| u16::try_from(port.port).ok())
        .map(|port| {
            let target = Target {
                namespace: service.namespace().unwrap_or_default(),
                service: service.name_any(),
                port,
            };
            (SocketAddrV4::new(ip, port), target)
        })
        .collect()
}
