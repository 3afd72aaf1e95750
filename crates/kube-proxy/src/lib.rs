//! The service proxy: service addresses, load balancers' ports and the node's lead to the pods that are ready.
//!
//! It is a Kubernetes client like the controllers, and forwards bytes in user space: rules in the kernel would need more
//! rights than a user's namespace has everywhere, and one machine's exercises do not notice the difference.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use component_helpers::supervisor::{Component, Supervisor};
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::runtime::Handle;
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
    supervisor: Supervisor,
    listeners: Component,
}

impl Proxy {
    /// A proxy whose connections to pods are made on `network`, where the node has this address.
    #[must_use]
    pub fn new(network: Handle, node: Ipv4Addr, supervisor: &Supervisor) -> Self {
        Self {
            backends: Arc::default(),
            network,
            node,
            supervisor: supervisor.clone(),
            listeners: supervisor.component("service-listener"),
        }
    }

    /// Answers for load balancers at this machine's loopback address.
    #[must_use]
    pub fn load_balancer(&self) -> Loopback {
        Loopback::new(self.clone())
    }

    /// Serves service addresses and names until the node shuts down.
    pub async fn run(self, client: Client) {
        let dns = dns::Dns {
            backends: self.backends.clone(),
            component: self.supervisor.component("dns"),
        };
        let component = dns.component.clone();
        let names = self.network.spawn(async move {
            component.run("", dns, |dns| dns.serve().boxed()).await;
        });
        let _names = AbortOnDropHandle::new(names);
        let component = self.supervisor.component("kube-proxy");
        let state = (self, client, component.clone());
        component
            .run("", state, |(proxy, client, component)| {
                proxy.follow(client.clone(), component.clone()).boxed()
            })
            .await;
    }

    async fn follow(&self, client: Client, component: Component) {
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
            component.failpoint();
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
                let listener = (SocketAddr::V4(address), self.clone(), target);
                let component = self.listeners.clone();
                let serving = async move {
                    let instance = listener.0.to_string();
                    component
                        .run(&instance, listener, |(address, proxy, target)| {
                            forward::serve_at(*address, proxy.clone(), target.clone()).boxed()
                        })
                        .await;
                };
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
    use jiff::Timestamp;
    use kube::runtime::watcher::Event;
    use probe::Clock;
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// A supervisor whose clock is so fast that a restart takes some milliseconds.
    pub(super) fn supervisor() -> Supervisor {
        let clock = Clock::new(Timestamp::UNIX_EPOCH, 100.0);
        Supervisor::new(clock, CancellationToken::new())
    }

    /// A store with one object.
    fn store_of<K>(object: Value) -> Store<K>
    where
        K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + 'static,
    {
        let (store, mut writer) = reflector::store();
        let object: K = serde_json::from_value(object).unwrap();
        writer.apply_watcher_event(&Event::Apply(object));
        store
    }

    #[tokio::test]
    async fn a_service_listener_forwards_connections_again_after_a_panic() {
        let supervisor = supervisor();
        let proxy = Proxy::new(Handle::current(), Ipv4Addr::LOCALHOST, &supervisor);
        let pod = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = pod.local_addr().unwrap().port();
        let service =
            json!({"metadata": {"name": "s", "namespace": "n"}, "spec": {"ports": [{"port": 80}]}});
        let slice = json!({
            "metadata": {"name": "s-1", "namespace": "n", "labels": {"kubernetes.io/service-name": "s"}},
            "addressType": "IPv4", "ports": [{"port": port}],
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}],
        });
        proxy.backends.set(store_of(service), store_of(slice));
        let target = Target {
            namespace: "n".to_owned(),
            service: "s".to_owned(),
            port: 80,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        supervisor.arm("service-listener", 1);
        let serving = forward::serve_with_restarts(listener, proxy, target);
        let _serving = AbortOnDropHandle::new(tokio::spawn(serving));
        let mut lost = TcpStream::connect(address).await.unwrap();
        // The connection during whose acceptance the listener panics is closed.
        assert!(matches!(lost.read(&mut [0]).await, Ok(0) | Err(_)));
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = pod.accept().await.unwrap();
        connection.write_all(b"x").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'x');
        let health = supervisor.health().remove(0);
        assert_eq!((health.panics, health.failure), (1, None));
    }

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
