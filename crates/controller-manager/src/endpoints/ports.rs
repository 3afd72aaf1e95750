//! Resolution of a service's target port in a pod.

use k8s_openapi::api::core::v1::{Container, Pod, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Resolves the target port of `port` in a pod. A number is itself. A name is searched with its protocol in the containers, then in
/// the restartable init containers; `None` if no container has it.
pub(crate) fn resolve_target_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let name = match &port.target_port {
        None => return Some(port.port),
        Some(IntOrString::Int(0)) => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) if name.is_empty() => return Some(port.port),
        Some(IntOrString::String(name)) => name,
    };
    let spec = pod.spec.as_ref()?;
    let sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(sidecar);
    let ports = spec
        .containers
        .iter()
        .chain(sidecars)
        .flat_map(|container| container.ports.iter().flatten());
    ports
        .filter(|one| {
            one.name.as_ref() == Some(name)
                && protocol_or_default(one.protocol.as_deref())
                    == protocol_or_default(port.protocol.as_deref())
        })
        .map(|one| one.container_port)
        .next()
}

/// Returns the protocol, with the API's default TCP.
pub(crate) fn protocol_or_default(given: Option<&str>) -> &str {
    given.unwrap_or("TCP")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(port: Value, expected: Option<i32>) {
        let pod = json!({"spec": {
            "containers": [
                {"name": "a", "ports": [{"name": "web", "containerPort": 8080}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]},
            ],
            "initContainers": [
                {"name": "i", "ports": [{"name": "init", "containerPort": 1}]},
                {"name": "s", "restartPolicy": "Always", "ports": [{"name": "web", "containerPort": 2}, {"name": "side", "containerPort": 3}]},
            ],
        }});
        let pod = serde_json::from_value(pod).expect("a pod");
        let port: ServicePort = serde_json::from_value(port).expect("a service port");
        assert_eq!(resolve_target_port(&pod, &port), expected, "{port:?}");
    }

    #[test]
    fn numeric_target_is_itself_and_the_default_is_the_service_port() {
        check(json!({"port": 80}), Some(80));
        check(json!({"port": 80, "targetPort": 0}), Some(80));
        check(json!({"port": 80, "targetPort": ""}), Some(80));
        check(json!({"port": 80, "targetPort": 9}), Some(9));
    }

    #[test]
    fn named_target_is_searched_in_containers_then_sidecars_by_protocol() {
        check(json!({"port": 80, "targetPort": "web"}), Some(8080));
        check(json!({"port": 80, "targetPort": "side"}), Some(3));
        check(json!({"port": 80, "targetPort": "init"}), None);
        check(json!({"port": 80, "targetPort": "dns"}), None);
        check(
            json!({"port": 80, "targetPort": "dns", "protocol": "UDP"}),
            Some(53),
        );
    }
}
