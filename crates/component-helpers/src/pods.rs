//! Predicates and times of pods, and their containers.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod, PodCondition};

/// Returns the pod's phase; `Pending` if it has none.
pub fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or("Pending")
}

/// Returns `true` if the pod's phase is final: `Succeeded` or `Failed`.
pub fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Returns `true` if the pod has a deletion timestamp.
pub fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Returns `true` if the pod counts as a replica of its set (upstream's `IsPodActive`).
pub fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && !is_terminating(pod)
}

/// Returns the pod's condition of the type `kind`.
pub fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status
        .as_ref()?
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == kind)
}

/// Returns `true` if the pod's condition `Ready` is true.
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
}

/// Returns the time at which the condition `Ready` last changed.
pub fn ready_since(pod: &Pod) -> Option<Timestamp> {
    condition(pod, "Ready")?
        .last_transition_time
        .as_ref()
        .map(|time| time.0)
}

/// Returns how much longer the pod must stay ready to be available: zero if it is available, `None` if it is not ready.
pub fn time_until_available(pod: &Pod, min_ready: Duration, now: Timestamp) -> Option<Duration> {
    if !is_ready(pod) {
        return None;
    }
    if min_ready.is_zero() {
        return Some(Duration::ZERO);
    }
    let min_ready = SignedDuration::try_from(min_ready).unwrap_or(SignedDuration::MAX);
    let available_at = ready_since(pod)?.saturating_add(min_ready).ok()?;
    Some(Duration::try_from(available_at.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Returns the maximum restart count of the pod's containers, by which deletion is ordered.
pub fn max_restart_count(pod: &Pod) -> i32 {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses
        .map(|status| status.restart_count)
        .max()
        .unwrap_or(0)
}

/// Returns `true` if an init container is a sidecar: `restartPolicy: Always` (upstream's `IsRestartableInitContainer`).
/// Regular containers can have the same policy, so `init` must be an init container.
pub fn is_restartable_init_container(init: &Container) -> bool {
    init.restart_policy.as_deref() == Some("Always")
}

/// Returns the pod's sidecars: its restartable init containers.
pub fn sidecars(pod: &Pod) -> impl Iterator<Item = &Container> {
    init_containers(pod).filter(|init| is_restartable_init_container(init))
}

/// Returns `true` if the container `name` is a sidecar of the pod.
pub fn has_sidecar(pod: &Pod, name: &str) -> bool {
    sidecars(pod).any(|sidecar| sidecar.name == name)
}

/// Returns the pod's init containers, then its regular containers.
pub fn containers_in_start_order(pod: &Pod) -> impl Iterator<Item = &Container> {
    let regular = pod.spec.iter().flat_map(|spec| &spec.containers);
    init_containers(pod).chain(regular)
}

fn init_containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let spec = pod.spec.iter();
    spec.flat_map(|spec| spec.init_containers.iter().flatten())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn restartable_init_containers_are_sidecars_and_regular_containers_are_not() {
        let pod = json!({"spec": {
            "initContainers": [{"name": "init"}, {"name": "side", "restartPolicy": "Always"}],
            "containers": [{"name": "app", "restartPolicy": "Always"}],
        }});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        for (name, expected) in [
            ("init", false),
            ("side", true),
            ("app", false),
            ("x", false),
        ] {
            assert_eq!(has_sidecar(&pod, name), expected, "{name}");
        }
        let names: Vec<_> = containers_in_start_order(&pod)
            .map(|container| container.name.as_str())
            .collect();
        assert_eq!(names, ["init", "side", "app"]);
    }
}
