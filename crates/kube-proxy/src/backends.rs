//! Which pods are behind which port of which service, as the watches have it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::ResourceExt as _;
use kube::runtime::reflector::{ObjectRef, Store};

use super::Target;
use super::affinity::{self, Affinity};

/// What a name leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The service's own address, or its ready pods' where it has none.
    Addresses(Vec<Ipv4Addr>),
    /// Another name (`ExternalName`).
    Name(String),
}

type Stores = (Store<Service>, Store<EndpointSlice>);

#[derive(Default)]
pub(super) struct Backends {
    stores: RwLock<Option<Stores>>,
    turn: AtomicUsize,
    affinity: Affinity,
}

impl Backends {
    /// Sets the caches of the watches, which are new ones after each restart of the proxy.
    pub(super) fn set(&self, services: Store<Service>, slices: Store<EndpointSlice>) {
        *self.stores.write().expect("no reader panics") = Some((services, slices));
    }

    fn stores(&self) -> Option<Stores> {
        self.stores.read().expect("no writer panics").clone()
    }

    /// What a service's name means; none where there is no such service.
    pub(super) fn meaning(&self, namespace: &str, service: &str) -> Option<Meaning> {
        let (services, _) = self.stores()?;
        let found = services.get(&ObjectRef::new(service).within(namespace))?;
        let spec = found.spec.as_ref()?;
        if spec.type_.as_deref() == Some("ExternalName") {
            return spec.external_name.clone().map(Meaning::Name);
        }
        Some(Meaning::Addresses(match spec.cluster_ip.as_deref()? {
            "None" => self.pods(namespace, service),
            ip => vec![ip.parse().ok()?],
        }))
    }

    fn pods(&self, namespace: &str, service: &str) -> Vec<Ipv4Addr> {
        let slices = self.stores().map(|(_, slices)| slices.state());
        let of_service = slices
            .into_iter()
            .flatten()
            .filter(|slice| is_of(slice, namespace, service));
        let ready = |endpoint: &&Endpoint| {
            let conditions = endpoint.conditions.as_ref();
            conditions
                .and_then(|conditions| conditions.ready)
                .unwrap_or(false)
        };
        of_service
            .flat_map(|slice| {
                let ready = slice.endpoints.iter().flatten().filter(ready);
                let addresses = ready.flat_map(|endpoint| endpoint.addresses.iter());
                addresses
                    .filter_map(|ip| ip.parse().ok())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// The next pod in turn, or the one that the client had before; none where nobody is ready.
    pub(super) fn next(&self, target: &Target, client: Option<IpAddr>) -> Option<SocketAddr> {
        let (services, slices) = self.stores()?;
        let key = ObjectRef::new(&target.service).within(&target.namespace);
        let service = services.get(&key)?;
        let mut ports = service.spec.as_ref()?.ports.iter().flatten();
        let port = ports.find(|port| port.port == i32::from(target.port))?;
        let name = port.name.clone().unwrap_or_default();
        let mut ready: Vec<SocketAddrV4> = Vec::new();
        let mut terminating = Vec::new();
        for slice in slices.state() {
            if is_of(&slice, &target.namespace, &target.service) {
                collect(&slice, &name, &mut ready, &mut terminating);
            }
        }
        // Those that are on their way out and still serve are better than nobody.
        let mut usable = if ready.is_empty() { terminating } else { ready };
        usable.sort_unstable();
        usable.dedup();
        let next = || {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            usable.get(turn % usable.len().max(1)).copied()
        };
        let chosen = match affinity::of(&service).zip(client) {
            Some((remembered, client)) => {
                let affinity = &self.affinity;
                affinity.pod(target, client, remembered, &usable, next)
            }
            None => next(),
        };
        chosen.map(SocketAddr::V4)
    }
}

fn is_of(slice: &EndpointSlice, namespace: &str, service: &str) -> bool {
    let of = slice.labels().get("kubernetes.io/service-name");
    of.is_some_and(|of| of == service) && slice.namespace().as_deref() == Some(namespace)
}

fn collect(
    slice: &EndpointSlice,
    name: &str,
    ready: &mut Vec<SocketAddrV4>,
    terminating: &mut Vec<SocketAddrV4>,
) {
    let mut ports = slice.ports.iter().flatten();
    let port = ports.find(|port| port.name.as_deref().unwrap_or_default() == name);
    let Some(port) = port.and_then(|port| u16::try_from(port.port?).ok()) else {
        return;
    };
    for endpoint in slice.endpoints.iter().flatten() {
        let conditions = endpoint.conditions.as_ref();
        let is = |value: Option<bool>| value.unwrap_or(false);
        let list = match conditions {
            Some(conditions) if is(conditions.ready) => &mut *ready,
            Some(conditions) if is(conditions.serving) && is(conditions.terminating) => {
                &mut *terminating
            }
            _ => continue,
        };
        let addresses = endpoint.addresses.iter();
        list.extend(addresses.filter_map(|ip| Some(SocketAddrV4::new(ip.parse().ok()?, port))));
    }
}
