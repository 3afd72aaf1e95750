//! Conditions of a pod: the kubelet's own, merged with those of other owners.

use component_helpers::pods;
use component_helpers::time::truncate_to_seconds;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use super::PodCondition;

/// Types of the kubelet's conditions. Conditions of other types belong to other components.
const OWNED: [&str; 5] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

/// Returns the kubelet's conditions, without transition times.
pub(super) fn kubelet_conditions(
    pod: &Pod,
    phase: &str,
    has_sandbox: bool,
    statuses: &PodStatus,
) -> Vec<PodCondition> {
    let containers = containers_ready_condition(pod, phase, statuses);
    let ready = ready_condition(pod, &containers);
    let mut conditions = vec![
        condition("PodReadyToStartContainers", has_sandbox),
        initialized_condition(pod, phase, statuses),
        ready,
        containers,
        condition("PodScheduled", true),
    ];
    for condition in &mut conditions {
        condition.observed_generation = pod.metadata.generation;
    }
    conditions
}

fn condition(kind: &str, status: bool) -> PodCondition {
    let status = if status { "True" } else { "False" };
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        ..PodCondition::default()
    }
}

fn false_condition(kind: &str, reason: &str, message: Option<String>) -> PodCondition {
    PodCondition {
        reason: Some(reason.to_owned()),
        message,
        ..condition(kind, false)
    }
}

/// Returns the condition `Initialized`. Once true it stays true, also when a sidecar terminates.
fn initialized_condition(pod: &Pod, phase: &str, statuses: &PodStatus) -> PodCondition {
    let kind = "Initialized";
    let incomplete: Vec<&str> = init_statuses(pod, statuses)
        .filter(|(status, sidecar)| {
            !if *sidecar {
                status.started == Some(true)
            } else {
                status.ready
            }
        })
        .map(|(status, _)| status.name.as_str())
        .collect();
    let has_run = |status: &ContainerStatus| {
        let state = status.state.as_ref();
        state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    };
    let was_true = || {
        let before = pod.status.iter().flat_map(|status| &status.conditions);
        before
            .flatten()
            .any(|condition| condition.type_ == kind && condition.status == "True")
    };
    let regular = statuses.container_statuses.iter().flatten();
    if phase == "Succeeded" {
        PodCondition {
            reason: Some("PodCompleted".to_owned()),
            ..condition(kind, true)
        }
    } else if incomplete.is_empty() || regular.into_iter().any(has_run) || was_true() {
        condition(kind, true)
    } else {
        let list = incomplete.join(" ");
        let message = format!("containers with incomplete status: [{list}]");
        false_condition(kind, "ContainersNotInitialized", Some(message))
    }
}

/// Returns each init container's status, and `true` if the container is a sidecar.
fn init_statuses<'a>(
    pod: &'a Pod,
    statuses: &'a PodStatus,
) -> impl Iterator<Item = (&'a ContainerStatus, bool)> {
    let statuses = statuses.init_container_statuses.iter().flatten();
    statuses.map(|status| (status, pods::has_sidecar(pod, &status.name)))
}

fn containers_ready_condition(pod: &Pod, phase: &str, statuses: &PodStatus) -> PodCondition {
    let kind = "ContainersReady";
    match phase {
        "Succeeded" => return false_condition(kind, "PodCompleted", None),
        "Failed" => return false_condition(kind, "PodFailed", None),
        _ => {}
    }
    let sidecars = init_statuses(pod, statuses)
        .filter(|(_, sidecar)| *sidecar)
        .map(|(status, _)| status);
    let unready: Vec<&str> = sidecars
        .chain(statuses.container_statuses.iter().flatten())
        .filter(|status| !status.ready)
        .map(|status| status.name.as_str())
        .collect();
    if unready.is_empty() {
        return condition(kind, true);
    }
    false_condition(
        kind,
        "ContainersNotReady",
        Some(format!(
            "containers with unready status: [{}]",
            unready.join(" ")
        )),
    )
}

fn ready_condition(pod: &Pod, containers: &PodCondition) -> PodCondition {
    if containers.status != "True" {
        return PodCondition {
            type_: "Ready".to_owned(),
            ..containers.clone()
        };
    }
    let gates = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.readiness_gates.as_deref())
        .unwrap_or_default();
    let present = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let messages: Vec<String> = gates
        .iter()
        .filter_map(|gate| {
            let kind = &gate.condition_type;
            match present.iter().find(|condition| condition.type_ == *kind) {
                None => Some(format!(
                    "corresponding condition of pod readiness gate \"{kind}\" does not exist."
                )),
                Some(found) if found.status != "True" => Some(format!(
                    "the status of pod readiness gate \"{kind}\" is not \"True\", but {}",
                    found.status
                )),
                Some(_) => None,
            }
        })
        .collect();
    if messages.is_empty() {
        return condition("Ready", true);
    }
    false_condition("Ready", "ReadinessGatesNotReady", Some(messages.join(", ")))
}

/// Sets the transition times, which change only with the status, and adds the conditions of other owners.
pub(super) fn merge_conditions(
    mut conditions: Vec<PodCondition>,
    before: &[PodCondition],
    now: Timestamp,
) -> Vec<PodCondition> {
    for condition in &mut conditions {
        let same = before
            .iter()
            .find(|old| old.type_ == condition.type_ && old.status == condition.status);
        condition.last_transition_time = same
            .and_then(|old| old.last_transition_time.clone())
            .or_else(|| Some(truncate_to_seconds(now)));
    }
    let foreign = before
        .iter()
        .filter(|condition| !OWNED.contains(&condition.type_.as_str()))
        .cloned();
    conditions.extend(foreign);
    conditions
}
