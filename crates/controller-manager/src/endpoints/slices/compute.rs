//! Content of a service's EndpointSlices.

use std::collections::BTreeMap;

use component_helpers::pods;
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use kube::ResourceExt;

use crate::endpoints::ports;

/// Maximum number of endpoints of a slice, kube-controller-manager's default.
const MAX_ENDPOINTS_PER_SLICE: usize = 100;

/// Content of one slice.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) ports: Vec<EndpointPort>,
    pub(super) endpoints: Vec<Endpoint>,
}

impl Group {
    /// Returns `true` if `slice` can have this content; the ports of a slice never change.
    pub(super) fn has_ports_of(&self, slice: &EndpointSlice) -> bool {
        slice.ports.as_deref().unwrap_or_default() == self.ports
    }
}

/// Computes the contents of the slices for these pods. A service without pods has one empty slice.
pub(super) fn groups<'a>(service: &Service, pods: impl Iterator<Item = &'a Pod>) -> Vec<Group> {
    let publish = service
        .spec
        .as_ref()
        .and_then(|spec| spec.publish_not_ready_addresses)
        .unwrap_or(false);
    let mut by_ports: BTreeMap<Vec<Option<i32>>, Vec<(Endpoint, &Pod)>> = BTreeMap::new();
    for pod in pods {
        if let Some(endpoint) = endpoint(pod, publish) {
            by_ports
                .entry(port_numbers(service, pod))
                .or_default()
                .push((endpoint, pod));
        }
    }
    let full = by_ports.into_iter().flat_map(|(numbers, members)| {
        let ports = slice_ports(service, &numbers);
        let chunks = members
            .chunks(MAX_ENDPOINTS_PER_SLICE)
            .map(<[_]>::to_vec)
            .collect::<Vec<_>>();
        chunks.into_iter().map(move |chunk| Group {
            ports: ports.clone(),
            endpoints: chunk.into_iter().map(|(endpoint, _)| endpoint).collect(),
        })
    });
    let groups: Vec<Group> = full.collect();
    if groups.is_empty() {
        vec![Group {
            ports: Vec::new(),
            endpoints: Vec::new(),
        }]
    } else {
        groups
    }
}

fn port_numbers(service: &Service, pod: &Pod) -> Vec<Option<i32>> {
    let ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    ports
        .map(|port| ports::resolve_target_port(pod, port))
        .collect()
}

fn slice_ports(service: &Service, numbers: &[Option<i32>]) -> Vec<EndpointPort> {
    let ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    ports
        .zip(numbers)
        .filter_map(|(port, number)| {
            Some(EndpointPort {
                name: Some(port.name.clone().unwrap_or_default()),
                port: Some((*number)?),
                protocol: Some(ports::protocol_or_default(port.protocol.as_deref()).to_owned()),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect()
}

fn endpoint(pod: &Pod, publish: bool) -> Option<Endpoint> {
    let ip = pod
        .status
        .as_ref()?
        .pod_ip
        .clone()
        .filter(|ip| !ip.is_empty())?;
    if pods::is_terminal(pod) {
        return None;
    }
    let (serving, terminating) = (pods::is_ready(pod), pods::is_terminating(pod));
    Some(Endpoint {
        addresses: vec![ip],
        conditions: Some(EndpointConditions {
            ready: Some(publish || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.namespace(),
            name: Some(pod.name_any()),
            uid: pod.uid(),
            ..ObjectReference::default()
        }),
        ..Endpoint::default()
    })
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

    fn pod(port: i32, ready: bool, patch: &Value) -> Pod {
        let mut pod = json!({
            "metadata": {"name": "api", "namespace": "default"},
            "spec": {"containers": [{"name": "a", "ports": [{"name": "web", "containerPort": port}]}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
        });
        json_patch::merge(&mut pod, patch);
        serde_json::from_value(pod).expect("a pod")
    }

    /// Checks the conditions (ready, serving, terminating) of an endpoint.
    #[track_caller]
    fn check(publish: bool, ready: bool, is_terminating: bool, expected: (bool, bool, bool)) {
        let patch = if is_terminating {
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
        } else {
            json!({})
        };
        let pod = pod(80, ready, &patch);
        let groups = groups(&service(publish), std::iter::once(&pod));
        let conditions = groups[0].endpoints[0]
            .conditions
            .clone()
            .expect("conditions");
        let seen = (conditions.ready, conditions.serving, conditions.terminating);
        assert_eq!(seen, (Some(expected.0), Some(expected.1), Some(expected.2)));
    }

    #[test]
    fn ready_endpoints_serve_and_are_not_terminating_unless_published() {
        check(false, true, false, (true, true, false));
        check(false, false, false, (false, false, false));
        check(false, true, true, (false, true, true));
        check(true, false, true, (true, false, true));
    }

    #[test]
    fn terminal_and_addressless_pods_are_omitted_and_an_empty_slice_remains() {
        let ended = pod(80, true, &json!({"status": {"phase": "Failed"}}));
        let young = pod(80, true, &json!({"status": {"podIP": null}}));
        let groups = groups(&service(false), [&ended, &young].into_iter());
        assert_eq!(
            groups,
            [Group {
                ports: vec![],
                endpoints: vec![]
            }]
        );
    }

    #[test]
    fn pods_with_different_numbers_for_a_port_are_in_different_slices() {
        let (a, b) = (pod(80, true, &json!({})), pod(81, true, &json!({})));
        let groups = groups(&service(false), [&b, &a].into_iter());
        let ports: Vec<_> = groups.iter().map(|group| group.ports[0].port).collect();
        assert_eq!(ports, [Some(80), Some(81)]);
    }

    #[test]
    fn endpoint_101_is_in_another_slice() {
        let pod = pod(80, true, &json!({}));
        let groups = groups(&service(false), std::iter::repeat_n(&pod, 101));
        let sizes: Vec<_> = groups.iter().map(|group| group.endpoints.len()).collect();
        assert_eq!(sizes, [100, 1]);
    }
}
