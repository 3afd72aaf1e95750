//! The conditions of a pod that the kubelet writes, and what happens to those it does not.

use component_helpers::time::truncate_to_seconds;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use super::PodCondition;

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
    statuses: &PodStatus,
) -> Vec<PodCondition> {
    let containers = containers_ready(pod, phase, statuses);
    let ready = ready(pod, &containers);
    let mut conditions = vec![
        condition("PodReadyToStartContainers", sandbox),
        initialized(pod, phase, statuses),
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

/// Once true it stays so, whatever becomes of a sidecar.
fn initialized(pod: &Pod, phase: &str, statuses: &PodStatus) -> PodCondition {
    let kind = "Initialized";
    let incomplete: Vec<&str> = inits(pod, statuses)
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
        not(kind, "ContainersNotInitialized", Some(message))
    }
}

/// Each init container's status, and whether it is a sidecar.
fn inits<'a>(
    pod: &'a Pod,
    statuses: &'a PodStatus,
) -> impl Iterator<Item = (&'a ContainerStatus, bool)> {
    let sidecar = |status: &ContainerStatus| {
        let spec = pod.spec.iter();
        let mut inits = spec.flat_map(|spec| spec.init_containers.iter().flatten());
        inits.any(|init| {
            init.name == status.name && init.restart_policy.as_deref() == Some("Always")
        })
    };
    let statuses = statuses.init_container_statuses.iter().flatten();
    statuses.map(move |status| (status, sidecar(status)))
}

fn containers_ready(pod: &Pod, phase: &str, statuses: &PodStatus) -> PodCondition {
    let kind = "ContainersReady";
    match phase {
        "Succeeded" => return not(kind, "PodCompleted", None),
        "Failed" => return not(kind, "PodFailed", None),
        _ => {}
    }
    let sidecars = inits(pod, statuses)
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
            .or_else(|| Some(truncate_to_seconds(now)));
    }
    let theirs = before
        .iter()
        .filter(|condition| !OWNED.contains(&condition.type_.as_str()))
        .cloned();
    ours.extend(theirs);
    ours
}
