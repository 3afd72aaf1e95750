//! The conditions of a pod that the kubelet writes, and what happens to those it does not.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::{PodCondition, seconds};

/// The conditions that are the kubelet's; all others belong to somebody else.
const OWNED: [&str; 5] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

/// The kubelet's conditions, without times.
pub(super) fn all(
    pod: &Pod,
    phase: &str,
    sandbox: bool,
    statuses: &[ContainerStatus],
) -> Vec<PodCondition> {
    let containers = containers_ready(phase, statuses);
    let ready = ready(pod, &containers);
    let mut conditions = vec![
        condition("PodReadyToStartContainers", sandbox),
        condition("Initialized", true),
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

fn not(kind: &str, reason: &str, message: Option<String>) -> PodCondition {
    PodCondition {
        reason: Some(reason.to_owned()),
        message,
        ..condition(kind, false)
    }
}

fn containers_ready(phase: &str, statuses: &[ContainerStatus]) -> PodCondition {
    let kind = "ContainersReady";
    match phase {
        "Succeeded" => return not(kind, "PodCompleted", None),
        "Failed" => return not(kind, "PodFailed", None),
        _ => {}
    }
    let unready: Vec<&str> = statuses
        .iter()
        .filter(|status| !status.ready)
        .map(|status| status.name.as_str())
        .collect();
    if unready.is_empty() {
        return condition(kind, true);
    }
    not(
        kind,
        "ContainersNotReady",
        Some(format!(
            "containers with unready status: [{}]",
            unready.join(" ")
        )),
    )
}

fn ready(pod: &Pod, containers: &PodCondition) -> PodCondition {
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
    not("Ready", "ReadinessGatesNotReady", Some(messages.join(", ")))
}

/// Dates the conditions: a time moves only when the status flips. Adds what others own.
pub(super) fn carry_over(
    mut ours: Vec<PodCondition>,
    before: &[PodCondition],
    now: Timestamp,
) -> Vec<PodCondition> {
    for condition in &mut ours {
        let same = before
            .iter()
            .find(|old| old.type_ == condition.type_ && old.status == condition.status);
        condition.last_transition_time = same
            .and_then(|old| old.last_transition_time.clone())
            .or_else(|| Some(seconds(now)));
    }
    let theirs = before
        .iter()
        .filter(|condition| !OWNED.contains(&condition.type_.as_str()))
        .cloned();
    ours.extend(theirs);
    ours
}
