//! The service proxy: service addresses, load balancers' ports and the node's lead to the pods that are ready.
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

mod affinity;
mod backends;
mod balancer;
mod dns;
mod forward;

pub use balancer::Loopback;

use backends::Backends;

/// What the proxy knows of services, for whoever forwards. Clones share it.
#[derive(Clone)]
pub struct Proxy {
    backends: Arc<Backends>,
    network: Handle,
    /// The node's address there.
    node: Ipv4Addr,
}

impl Proxy {
    /// A proxy whose connections to pods are made on `network`, where the node has this address.
    #[must_use]
    pub fn new(network: Handle, node: Ipv4Addr) -> Self {
        Self {
            backends: Arc::default(),
            network,
            node,
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

    /// One listener for each port of each service address and of the node, and no other.
    fn reconcile(
        &self,
        services: &Store<Service>,
        open: &mut HashMap<(Place, SocketAddrV4, Target), AbortOnDropHandle<()>>,
    ) {
        let wanted: Vec<_> = services
            .state()
            .iter()
            .flat_map(|service| places(service, self.node))
            .collect();
        open.retain(|key, _| wanted.contains(key));
        for key in wanted {
            let (place, address, target) = key.clone();
            open.entry(key).or_insert_with(|| {
                let serving = forward::serve_at(SocketAddr::V4(address), self.clone(), target);
                AbortOnDropHandle::new(match place {
                    Place::Pods => self.network.spawn(serving),
                    Place::Machine => tokio::spawn(serving),
                })
            });
        }
    }
}

/// Whose network an address is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// The pods'.
    Pods,
    /// This machine's.
    Machine,
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) namespace: String,
    pub(crate) service: String,
    pub(crate) port: u16,
}

/// Where the ports of a service answer: at its own address, and those that it has on the node at the node's address and, unless
/// a load balancer answers there, at this machine's loopback.
fn places(service: &Service, node: Ipv4Addr) -> Vec<(Place, SocketAddrV4, Target)> {
    let spec = service.spec.as_ref();
    let ip = spec.and_then(|spec| spec.cluster_ip.as_deref()?.parse::<Ipv4Addr>().ok());
    let mut places = Vec::new();
    for port in spec.iter().flat_map(|spec| spec.ports.iter().flatten()) {
        let Ok(number) = u16::try_from(port.port) else {
            continue;
        };
        if port.protocol.as_deref().unwrap_or("TCP") != "TCP" {
            continue;
        }
        let target = Target {
            namespace: service.namespace().unwrap_or_default(),
            service: service.name_any(),
            port: number,
        };
        let mut add = |place, ip, port| {
            places.push((place, SocketAddrV4::new(ip, port), target.clone()));
        };
        if let Some(ip) = ip {
            add(Place::Pods, ip, number);
        }
        let on_node = port.node_port.and_then(|port| u16::try_from(port).ok());
        if let Some(on_node) = on_node.filter(|port| *port > 0) {
            add(Place::Pods, node, on_node);
            if spec.is_some_and(|spec| spec.type_.as_deref() == Some("NodePort")) {
                add(Place::Machine, Ipv4Addr::LOCALHOST, on_node);
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(spec: &Value, expected: &[&str]) {
        let service = json!({"metadata": {"name": "s", "namespace": "n"}, "spec": *spec});
        let service: Service = serde_json::from_value(service).unwrap();
        let found: Vec<_> = places(&service, Ipv4Addr::new(10, 244, 0, 1))
            .into_iter()
            .map(|(place, address, target)| format!("{place:?} {address} {}", target.port))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_port_answers_at_its_service_and_on_the_node() {
        let port = |more: Value| {
            let mut port = json!({"port": 80, "protocol": "TCP"});
            port.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            json!({"type": "NodePort", "clusterIP": "10.96.0.20", "ports": [port]})
        };
        check(&port(json!({})), &["Pods 10.96.0.20:80 80"]);
        check(&port(json!({"protocol": "UDP"})), &[]);
        let on_node = [
            "Pods 10.96.0.20:80 80",
            "Pods 10.244.0.1:30080 80",
            "Machine 127.0.0.1:30080 80",
        ];
        check(&port(json!({"nodePort": 30080})), &on_node);
        let mut balanced = port(json!({"nodePort": 30080}));
        balanced["type"] = json!("LoadBalancer");
        check(&balanced, &on_node[..2]);
        check(&json!({"clusterIP": "None", "ports": [{"port": 80}]}), &[]);
        check(&json!({"type": "ExternalName"}), &[]);
    }
}
