//! Subsets of an Endpoints object.

use std::collections::BTreeMap;

use component_helpers::pods;
use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, ObjectReference, Pod, Service,
};
use kube::ResourceExt;

use super::ports;

/// Maximum number of addresses of one Endpoints object, as upstream.
const MAX_ADDRESSES: usize = 1000;

type Port = (String, String, i32);

/// Computes the subsets of a service. Ports with the same addresses share a subset.
pub(super) fn subsets<'a>(
    service: &Service,
    pods: impl Iterator<Item = &'a Pod>,
) -> Vec<EndpointSubset> {
    let spec = service.spec.as_ref();
    let publish_unready = spec
        .and_then(|spec| spec.publish_not_ready_addresses)
        .unwrap_or(false);
    // Ports of each address: at most one for each port of the service.
    let mut by_ports: BTreeMap<Vec<Port>, Vec<(bool, EndpointAddress)>> = BTreeMap::new();
    for pod in pods
        .filter(|pod| is_listed(pod, publish_unready))
        .take(MAX_ADDRESSES)
    {
        let Some(address) = address(pod) else {
            continue;
        };
        let ports = ports_of(service, pod);
        let has_ports =
            spec.is_some_and(|spec| spec.ports.as_ref().is_some_and(|ports| !ports.is_empty()));
        if ports.is_empty() && has_ports {
            continue;
        }
        by_ports
            .entry(ports)
            .or_default()
            .push((publish_unready || pods::is_ready(pod), address));
    }
    by_ports
        .into_iter()
        .map(|(ports, addresses)| subset(ports, addresses))
        .collect()
}

fn is_listed(pod: &Pod, publish_unready: bool) -> bool {
    !pods::is_terminal(pod) && (publish_unready || !pods::is_terminating(pod))
}

fn ports_of(service: &Service, pod: &Pod) -> Vec<Port> {
    let ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    let mut found: Vec<Port> = ports
        .filter_map(|port| {
            let number = ports::resolve_target_port(pod, port)?;
            let protocol = ports::protocol_or_default(port.protocol.as_deref()).to_owned();
            Some((port.name.clone().unwrap_or_default(), protocol, number))
        })
        .collect();
    found.sort();
    found
}

fn address(pod: &Pod) -> Option<EndpointAddress> {
    let ip = pod
        .status
        .as_ref()?
        .pod_ip
        .clone()
        .filter(|ip| !ip.is_empty())?;
    Some(EndpointAddress {
        ip,
        node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.namespace(),
            name: Some(pod.name_any()),
            uid: pod.uid(),
            ..ObjectReference::default()
        }),
        hostname: None,
    })
}

fn subset(ports: Vec<Port>, addresses: Vec<(bool, EndpointAddress)>) -> EndpointSubset {
    let (ready, unready): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|(ready, _)| *ready);
    let sorted = |addresses: Vec<(bool, EndpointAddress)>| {
        let mut addresses: Vec<_> = addresses.into_iter().map(|(_, address)| address).collect();
        addresses.sort_by(|a, b| a.ip.cmp(&b.ip));
        (!addresses.is_empty()).then_some(addresses)
    };
    let ports: Vec<EndpointPort> = ports
        .into_iter()
        .map(|(name, protocol, port)| EndpointPort {
            name: (!name.is_empty()).then_some(name),
            port,
            protocol: Some(protocol),
            app_protocol: None,
        })
        .collect();
    EndpointSubset {
        addresses: sorted(ready),
        not_ready_addresses: sorted(unready),
        ports: (!ports.is_empty()).then_some(ports),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(publish: bool) -> Service {
        serde_json::from_value(json!({"spec": {
            "ports": [{"port": 80, "targetPort": "web"}],
            "publishNotReadyAddresses": publish,
        }}))
        .expect("a service")
    }

    fn pod(ip: &str, ready: bool, patch: &Value) -> Pod {
        let mut pod = json!({
            "metadata": {"name": ip, "namespace": "default"},
            "spec": {"containers": [{"name": "a", "ports": [{"name": "web", "containerPort": 8080}]}]},
            "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
        });
        json_patch::merge(&mut pod, patch);
        serde_json::from_value(pod).expect("a pod")
    }

    /// Formats the subsets as `ready|not ready:port`.
    fn format_subsets(service: &Service, pods: &[Pod]) -> Vec<String> {
        let ips = |addresses: Option<Vec<EndpointAddress>>| {
            addresses
                .into_iter()
                .flatten()
                .map(|address| address.ip)
                .collect::<Vec<_>>()
                .join(",")
        };
        subsets(service, pods.iter())
            .into_iter()
            .map(|subset| {
                let ports: Vec<_> = subset
                    .ports
                    .iter()
                    .flatten()
                    .map(|port| port.port.to_string())
                    .collect();
                format!(
                    "{}|{}:{}",
                    ips(subset.addresses),
                    ips(subset.not_ready_addresses),
                    ports.join(",")
                )
            })
            .collect()
    }

    #[test]
    fn ready_and_unready_pods_share_a_subset_sorted_as_text() {
        let none = json!({});
        let pods = [
            pod("10.0.0.9", true, &none),
            pod("10.0.0.10", true, &none),
            pod("10.0.0.3", false, &none),
        ];
        assert_eq!(
            format_subsets(&service(false), &pods),
            ["10.0.0.10,10.0.0.9|10.0.0.3:8080"]
        );
    }

    #[test]
    fn terminal_terminating_and_addressless_pods_are_omitted() {
        let ended = pod("10.0.0.1", true, &json!({"status": {"phase": "Succeeded"}}));
        let going = pod(
            "10.0.0.2",
            true,
            &json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        );
        let young = pod("10.0.0.3", true, &json!({"status": {"podIP": null}}));
        assert!(
            format_subsets(
                &service(false),
                &[ended.clone(), going.clone(), young.clone()]
            )
            .is_empty()
        );
        assert_eq!(
            format_subsets(&service(true), &[ended, going, young]),
            ["10.0.0.2|:8080"],
            "unless they are published"
        );
    }

    #[test]
    fn unready_pods_are_ready_addresses_if_published() {
        assert_eq!(
            format_subsets(&service(true), &[pod("10.0.0.1", false, &json!({}))]),
            ["10.0.0.1|:8080"]
        );
    }

    #[test]
    fn pods_without_the_named_port_are_omitted() {
        let other = pod(
            "10.0.0.1",
            true,
            &json!({"spec": {"containers": [{"name": "a"}]}}),
        );
        assert!(format_subsets(&service(false), &[other]).is_empty());
    }
}
