//! Userspace service proxy: forwards cluster IPs, node ports and load balancers' ports to ready endpoints, and serves DNS.
//!
//! It is a Kubernetes client, as the controllers are. It forwards bytes in user space, because rules in the kernel need
//! privileges that a user namespace does not have on every host, and one host's load does not need them.

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
mod connections;
mod dns;
mod endpoints;
mod loopback;

pub use loopback::LoopbackLoadBalancer;

use endpoints::EndpointTable;

/// Handle of the proxy. Clones share its endpoint table and its listeners' component.
#[derive(Clone)]
pub struct Proxy {
    endpoints: Arc<EndpointTable>,
    /// Runtime whose threads are in the pod network.
    pod_network: Handle,
    /// Address of the node in the pod network.
    node_ip: Ipv4Addr,
    supervisor: Supervisor,
    listeners: Component,
}

impl Proxy {
    /// Creates a proxy that connects to pods on `pod_network`, where the node has the address `node_ip`.
    #[must_use]
    pub fn new(pod_network: Handle, node_ip: Ipv4Addr, supervisor: &Supervisor) -> Self {
        Self {
            endpoints: Arc::default(),
            pod_network,
            node_ip,
            supervisor: supervisor.clone(),
            listeners: supervisor.component("service-listener"),
        }
    }

    /// Creates the implementation of load balancers on the host's loopback address.
    #[must_use]
    pub fn load_balancer(&self) -> LoopbackLoadBalancer {
        LoopbackLoadBalancer::new(self.clone())
    }

    /// Serves service addresses and names until the node shuts down.
    pub async fn run(self, client: Client) {
        let dns = dns::Dns {
            endpoints: self.endpoints.clone(),
            component: self.supervisor.component("dns"),
        };
        let component = dns.component.clone();
        let dns_server = self.pod_network.spawn(async move {
            component.run("", dns, |dns| dns.serve().boxed()).await;
        });
        let _dns_server = AbortOnDropHandle::new(dns_server);
        let component = self.supervisor.component("kube-proxy");
        let state = (self, client, component.clone());
        component
            .run("", state, |(proxy, client, component)| {
                proxy.watch(client.clone(), component.clone()).boxed()
            })
            .await;
    }

    /// Watches services and endpoint slices, and opens and closes listeners accordingly.
    async fn watch(&self, client: Client, component: Component) {
        let (services, services_writer) = reflector::store();
        let (slices, slices_writer) = reflector::store();
        self.endpoints.set_stores(services.clone(), slices);
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
            .map(|_| Change::Service);
        let slice_changes = slice_watch
            .default_backoff()
            .reflect(slices_writer)
            .map(|_| Change::EndpointSlice);
        let mut changes = std::pin::pin!(futures::stream::select(service_changes, slice_changes));
        let mut open = HashMap::new();
        while let Some(change) = changes.next().await {
            component.failpoint();
            if matches!(change, Change::Service) {
                self.sync_listeners(&services, &mut open);
            }
        }
    }

    /// Opens one listener for each port of each service and of the node, and closes all others.
    fn sync_listeners(
        &self,
        services: &Store<Service>,
        open: &mut HashMap<(ListenNetwork, SocketAddrV4, ServicePortName), AbortOnDropHandle<()>>,
    ) {
        let wanted: Vec<_> = services
            .state()
            .iter()
            .flat_map(|service| listen_addresses(service, self.node_ip))
            .collect();
        open.retain(|key, _| wanted.contains(key));
        for key in wanted {
            let (network, address, port) = key.clone();
            open.entry(key).or_insert_with(|| {
                let listener = (SocketAddr::V4(address), self.clone(), port);
                let component = self.listeners.clone();
                let serving = async move {
                    let instance = listener.0.to_string();
                    component
                        .run(&instance, listener, |(address, proxy, port)| {
                            connections::bind_and_serve(*address, proxy.clone(), port.clone())
                                .boxed()
                        })
                        .await;
                };
                AbortOnDropHandle::new(match network {
                    ListenNetwork::Pod => self.pod_network.spawn(serving),
                    ListenNetwork::Host => tokio::spawn(serving),
                })
            });
        }
    }
}

/// Kind of the object that a watch reported.
enum Change {
    Service,
    EndpointSlice,
}

/// Network of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ListenNetwork {
    Pod,
    Host,
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServicePortName {
    pub(crate) namespace: String,
    pub(crate) service: String,
    pub(crate) port: u16,
}

/// Returns the addresses on which the ports of a service listen: its cluster IP; for node ports the node's address; for services
/// of type `NodePort` also the host's loopback address. A service of type `LoadBalancer` has its loopback address by its
/// load balancer.
fn listen_addresses(
    service: &Service,
    node_ip: Ipv4Addr,
) -> Vec<(ListenNetwork, SocketAddrV4, ServicePortName)> {
    let spec = service.spec.as_ref();
    let ip = spec.and_then(|spec| spec.cluster_ip.as_deref()?.parse::<Ipv4Addr>().ok());
    let mut addresses = Vec::new();
    for port in spec.iter().flat_map(|spec| spec.ports.iter().flatten()) {
        let Ok(number) = u16::try_from(port.port) else {
            continue;
        };
        if port.protocol.as_deref().unwrap_or("TCP") != "TCP" {
            continue;
        }
        let name = ServicePortName {
            namespace: service.namespace().unwrap_or_default(),
            service: service.name_any(),
            port: number,
        };
        let mut add = |network, ip, port| {
            addresses.push((network, SocketAddrV4::new(ip, port), name.clone()));
        };
        if let Some(ip) = ip {
            add(ListenNetwork::Pod, ip, number);
        }
        let node_port = port.node_port.and_then(|port| u16::try_from(port).ok());
        if let Some(node_port) = node_port.filter(|port| *port > 0) {
            add(ListenNetwork::Pod, node_ip, node_port);
            if spec.is_some_and(|spec| spec.type_.as_deref() == Some("NodePort")) {
                add(ListenNetwork::Host, Ipv4Addr::LOCALHOST, node_port);
            }
        }
    }
    addresses
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

    /// Creates a supervisor whose clock runs at 100 times real time, so that a restart takes some milliseconds.
    pub(super) fn supervisor() -> Supervisor {
        let clock = Clock::new(Timestamp::UNIX_EPOCH, 100.0);
        Supervisor::new(clock, CancellationToken::new())
    }

    /// Creates a store that contains `object`.
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
    async fn service_listener_forwards_connections_after_a_panic() {
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
        proxy
            .endpoints
            .set_stores(store_of(service), store_of(slice));
        let port_name = ServicePortName {
            namespace: "n".to_owned(),
            service: "s".to_owned(),
            port: 80,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        supervisor.arm("service-listener", 1);
        let serving = connections::serve_with_restarts(listener, proxy, port_name);
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
        let found: Vec<_> = listen_addresses(&service, Ipv4Addr::new(10, 244, 0, 1))
            .into_iter()
            .map(|(network, address, name)| format!("{network:?} {address} {}", name.port))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn service_port_listens_on_the_cluster_ip_and_on_the_node() {
        let port = |more: Value| {
            let mut port = json!({"port": 80, "protocol": "TCP"});
            port.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            json!({"type": "NodePort", "clusterIP": "10.96.0.20", "ports": [port]})
        };
        check(&port(json!({})), &["Pod 10.96.0.20:80 80"]);
        check(&port(json!({"protocol": "UDP"})), &[]);
        let on_node = [
            "Pod 10.96.0.20:80 80",
            "Pod 10.244.0.1:30080 80",
            "Host 127.0.0.1:30080 80",
        ];
        check(&port(json!({"nodePort": 30080})), &on_node);
        let mut balanced = port(json!({"nodePort": 30080}));
        balanced["type"] = json!("LoadBalancer");
        check(&balanced, &on_node[..2]);
        check(&json!({"clusterIP": "None", "ports": [{"port": 80}]}), &[]);
        check(&json!({"type": "ExternalName"}), &[]);
    }
}
