//! Table of services and their endpoints, from the caches of the watches.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::ResourceExt as _;
use kube::runtime::reflector::{ObjectRef, Store};

use super::ServicePortName;
use super::affinity::{self, AffinityTable};

/// Target of a service's DNS name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DnsTarget {
    /// The cluster IP, or the addresses of the ready endpoints of a headless service.
    Addresses(Vec<Ipv4Addr>),
    /// Name of an `ExternalName` service.
    ExternalName(String),
}

type Stores = (Store<Service>, Store<EndpointSlice>);

#[derive(Default)]
pub(super) struct EndpointTable {
    stores: RwLock<Option<Stores>>,
    round_robin: AtomicUsize,
    affinity: AffinityTable,
}

impl EndpointTable {
    /// Replaces the caches of the watches; each restart of the proxy has new ones.
    pub(super) fn set_stores(&self, services: Store<Service>, slices: Store<EndpointSlice>) {
        *self.stores.write().expect("no reader panics") = Some((services, slices));
    }

    fn stores(&self) -> Option<Stores> {
        self.stores.read().expect("no writer panics").clone()
    }

    /// Resolves the DNS name of a service; `None` if the service does not exist.
    pub(super) fn resolve_name(&self, namespace: &str, service: &str) -> Option<DnsTarget> {
        let (services, _) = self.stores()?;
        let found = services.get(&ObjectRef::new(service).within(namespace))?;
        let spec = found.spec.as_ref()?;
        if spec.type_.as_deref() == Some("ExternalName") {
            return spec.external_name.clone().map(DnsTarget::ExternalName);
        }
        Some(DnsTarget::Addresses(match spec.cluster_ip.as_deref()? {
            "None" => self.ready_addresses(namespace, service),
            ip => vec![ip.parse().ok()?],
        }))
    }

    fn ready_addresses(&self, namespace: &str, service: &str) -> Vec<Ipv4Addr> {
        let slices = self.stores().map(|(_, slices)| slices.state());
        let slices = slices
            .into_iter()
            .flatten()
            .filter(|slice| belongs_to(slice, namespace, service));
        let ready = |endpoint: &&Endpoint| {
            let conditions = endpoint.conditions.as_ref();
            conditions
                .and_then(|conditions| conditions.ready)
                .unwrap_or(false)
        };
        slices
            .flat_map(|slice| {
                let ready = slice.endpoints.iter().flatten().filter(ready);
                let addresses = ready.flat_map(|endpoint| endpoint.addresses.iter());
                addresses
                    .filter_map(|ip| ip.parse().ok())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Picks an endpoint by round robin, or the one of the client's session; `None` if no endpoint is usable.
    pub(super) fn pick_endpoint(
        &self,
        port_name: &ServicePortName,
        client: Option<IpAddr>,
    ) -> Option<SocketAddr> {
        let (services, slices) = self.stores()?;
        let key = ObjectRef::new(&port_name.service).within(&port_name.namespace);
        let service = services.get(&key)?;
        let mut ports = service.spec.as_ref()?.ports.iter().flatten();
        let port = ports.find(|port| port.port == i32::from(port_name.port))?;
        let name = port.name.clone().unwrap_or_default();
        let mut ready: Vec<SocketAddrV4> = Vec::new();
        let mut terminating = Vec::new();
        for slice in slices.state() {
            if belongs_to(&slice, &port_name.namespace, &port_name.service) {
                collect_endpoints(&slice, &name, &mut ready, &mut terminating);
            }
        }
        // Terminating endpoints that still serve are the fallback (KEP-1669, ProxyTerminatingEndpoints).
        let mut usable = if ready.is_empty() { terminating } else { ready };
        usable.sort_unstable();
        usable.dedup();
        let next = || {
            let count = self.round_robin.fetch_add(1, Ordering::Relaxed);
            usable.get(count % usable.len().max(1)).copied()
        };
        let endpoint = match affinity::session_timeout(&service).zip(client) {
            Some((timeout, client)) => {
                let affinity = &self.affinity;
                affinity.endpoint_for(port_name, client, timeout, &usable, next)
            }
            None => next(),
        };
        endpoint.map(SocketAddr::V4)
    }
}

fn belongs_to(slice: &EndpointSlice, namespace: &str, service: &str) -> bool {
    let owner = slice.labels().get("kubernetes.io/service-name");
    owner.is_some_and(|owner| owner == service) && slice.namespace().as_deref() == Some(namespace)
}

/// Adds the addresses of a slice's endpoints at the port `port_name` to `ready` or `terminating`.
fn collect_endpoints(
    slice: &EndpointSlice,
    port_name: &str,
    ready: &mut Vec<SocketAddrV4>,
    terminating: &mut Vec<SocketAddrV4>,
) {
    let mut ports = slice.ports.iter().flatten();
    let port = ports.find(|port| port.name.as_deref().unwrap_or_default() == port_name);
    let Some(port) = port.and_then(|port| u16::try_from(port.port?).ok()) else {
        return;
    };
    for endpoint in slice.endpoints.iter().flatten() {
        let conditions = endpoint.conditions.as_ref();
        let is_true = |value: Option<bool>| value.unwrap_or(false);
        let list = match conditions {
            Some(conditions) if is_true(conditions.ready) => &mut *ready,
            Some(conditions) if is_true(conditions.serving) && is_true(conditions.terminating) => {
                &mut *terminating
            }
            _ => continue,
        };
        let addresses = endpoint.addresses.iter();
        list.extend(addresses.filter_map(|ip| Some(SocketAddrV4::new(ip.parse().ok()?, port))));
    }
}
