//! Builds a pod's status from the observed state of its containers: phase, container states, conditions. Pure functions.
//!
//! [`container_statuses`] builds the containers' states, then the probe results set `started` and `ready`, then
//! [`build_status`] derives everything that depends on readiness.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use component_helpers::pods::is_restartable_init_container;
use component_helpers::time::truncate_to_seconds;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodSpec, PodStatus,
};
use probe::restart::should_restart;

use super::instance::{ContainerHistory, Instance, StatusReason};

mod conditions;

/// Observed state of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// IP address of the pod, once its sandbox exists.
    pub(crate) ip: Option<Ipv4Addr>,
    /// Time at which the kubelet received the pod.
    pub(crate) start_time: Option<Timestamp>,
    /// Histories of the containers by name. A missing container has never run.
    pub(crate) containers: BTreeMap<String, ContainerHistory>,
    /// Reason of a failure of the whole pod: it was rejected, or its deadline has expired.
    pub(crate) failed: Option<StatusReason>,
}

/// Maximum length in bytes of the termination messages of all containers of a pod together (upstream's
/// `MaxPodTerminationMessageLogLength`).
const MAX_POD_TERMINATION_MESSAGE_LEN: usize = 12 * 1024;

/// Scheme of container IDs in the API, which names the runtime.
const CONTAINER_ID_SCHEME: &str = "selfheal://";

/// Returns a status that has only the states of the pod's containers, in the manifest's order. `ready` and `started` are false.
#[must_use]
pub(crate) fn container_statuses(pod: &Pod, observed: &Observed) -> PodStatus {
    let Some(spec) = &pod.spec else {
        return PodStatus::default();
    };
    let inits = spec.init_containers.as_deref().unwrap_or_default();
    let default_waiting_reason = if inits.is_empty() {
        "ContainerCreating"
    } else {
        "PodInitializing"
    };
    let max_length = MAX_POD_TERMINATION_MESSAGE_LEN / (inits.len() + spec.containers.len()).max(1);
    let status = |spec: &Container| {
        let mut status = container_status(
            &spec.name,
            spec.image.as_deref().unwrap_or_default(),
            observed
                .containers
                .get(&spec.name)
                .unwrap_or(&ContainerHistory::NEVER_RAN),
            default_waiting_reason,
        );
        for state in [&mut status.state, &mut status.last_state] {
            let terminated = state.as_mut().and_then(|state| state.terminated.as_mut());
            if let Some(message) = terminated.and_then(|state| state.message.as_mut()) {
                truncate_utf8(message, max_length);
            }
        }
        status
    };
    PodStatus {
        container_statuses: Some(spec.containers.iter().map(status).collect()),
        init_container_statuses: (!inits.is_empty()).then(|| inits.iter().map(status).collect()),
        ..PodStatus::default()
    }
}

/// Truncates `text` to at most `max_length` bytes, at a character boundary.
fn truncate_utf8(text: &mut String, max_length: usize) {
    let end = (0..=max_length)
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
}

fn container_status(
    name: &str,
    image: &str,
    history: &ContainerHistory,
    default_waiting_reason: &str,
) -> ContainerStatus {
    let current = history.current.as_ref();
    let (state, last) = match (&history.waiting, current) {
        (Some(waiting), _) => (
            waiting_state(&waiting.reason, waiting.message.as_deref()),
            current.filter(|instance| instance.exit.is_some()),
        ),
        (None, Some(instance)) => (instance_state(instance), history.previous.as_ref()),
        (None, None) => (waiting_state(default_waiting_reason, None), None),
    };
    ContainerStatus {
        name: name.to_owned(),
        image: image.to_owned(),
        image_id: current
            .map(|instance| instance.image.id.clone())
            .unwrap_or_default(),
        container_id: current.map(container_id),
        restart_count: current.map_or(0, |instance| {
            i32::try_from(instance.attempt).unwrap_or(i32::MAX)
        }),
        state: Some(state),
        last_state: Some(last.map(instance_state).unwrap_or_default()),
        ready: false,
        started: Some(false),
        ..ContainerStatus::default()
    }
}

fn container_id(instance: &Instance) -> String {
    format!("{CONTAINER_ID_SCHEME}{}", instance.id.0)
}

fn waiting_state(reason: &str, message: Option<&str>) -> ContainerState {
    let waiting = ContainerStateWaiting {
        reason: Some(reason.to_owned()),
        message: message.map(str::to_owned),
    };
    ContainerState {
        waiting: Some(waiting),
        ..ContainerState::default()
    }
}

fn instance_state(instance: &Instance) -> ContainerState {
    let Some(exit) = instance.exit else {
        let running = ContainerStateRunning {
            started_at: Some(truncate_to_seconds(instance.started_at)),
        };
        return ContainerState {
            running: Some(running),
            ..ContainerState::default()
        };
    };
    let terminated = ContainerStateTerminated {
        container_id: Some(container_id(instance)),
        exit_code: exit.code,
        reason: Some(if exit.code == 0 { "Completed" } else { "Error" }.to_owned()),
        message: instance.message.clone(),
        started_at: Some(truncate_to_seconds(instance.started_at)),
        finished_at: Some(truncate_to_seconds(exit.at)),
        ..ContainerStateTerminated::default()
    };
    ContainerState {
        terminated: Some(terminated),
        ..ContainerState::default()
    }
}

/// Returns the whole status. The container statuses in `partial` have `started` and `ready` set. Conditions of other owners
/// are kept.
#[must_use]
pub(crate) fn build_status(
    pod: &Pod,
    observed: &Observed,
    partial: PodStatus,
    node_ip: &str,
    now: Timestamp,
) -> PodStatus {
    let phase = phase(pod, observed);
    let before = pod.status.as_ref();
    let conditions = conditions::kubelet_conditions(pod, phase, observed.ip.is_some(), &partial);
    let previous = before
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let failed = observed.failed.as_ref().filter(|_| phase == "Failed");
    PodStatus {
        phase: Some(phase.to_owned()),
        reason: failed.map(|failed| failed.reason.clone()),
        message: failed.and_then(|failed| failed.message.clone()),
        conditions: Some(conditions::merge_conditions(conditions, previous, now)),
        container_statuses: partial.container_statuses,
        init_container_statuses: partial.init_container_statuses,
        host_ip: Some(node_ip.to_owned()),
        host_ips: Some(vec![HostIP {
            ip: node_ip.to_owned(),
        }]),
        pod_ip: observed.ip.map(|ip| ip.to_string()),
        pod_ips: observed.ip.map(|ip| vec![PodIP { ip: ip.to_string() }]),
        start_time: observed.start_time.map(truncate_to_seconds),
        observed_generation: pod.metadata.generation,
        qos_class: before.and_then(|status| status.qos_class.clone()),
        ..PodStatus::default()
    }
}

/// Returns the phase: `Pending`, `Running`, `Succeeded` or `Failed`. A terminal phase does not change.
#[must_use]
pub(crate) fn phase(pod: &Pod, observed: &Observed) -> &'static str {
    let status = pod.status.as_ref();
    match status.and_then(|status| status.phase.as_deref()) {
        Some("Succeeded") => return "Succeeded",
        Some("Failed") => return "Failed",
        _ => {}
    }
    let Some(spec) = &pod.spec else {
        return "Pending";
    };
    let histories = &observed.containers;
    // A pod is not terminal while a container runs, sidecars included.
    let is_running = histories
        .values()
        .any(|history| history.running().is_some());
    let has_failed = observed.failed.is_some() || has_failed_init_container(spec, histories);
    if has_failed && !is_running {
        return "Failed";
    }
    let current = |container: &Container| histories.get(&container.name)?.current.as_ref();
    let instances: Option<Vec<&Instance>> = spec.containers.iter().map(current).collect();
    let Some(instances) = instances else {
        return "Pending";
    };
    let codes: Option<Vec<i32>> = instances
        .iter()
        .map(|instance| instance.exit.map(|exit| exit.code))
        .collect();
    match codes.filter(|_| !is_running) {
        Some(codes) if !any_should_restart(spec, &codes) => {
            if codes.iter().all(|code| *code == 0) {
                "Succeeded"
            } else {
                "Failed"
            }
        }
        _ => "Running",
    }
}

fn any_should_restart(spec: &PodSpec, codes: &[i32]) -> bool {
    let policy = spec.restart_policy.as_deref();
    let mut exits = spec.containers.iter().zip(codes);
    exits.any(|(container, code)| should_restart(container, policy, *code))
}

/// Returns `true` if an init container that is not a sidecar has failed and is not restarted.
fn has_failed_init_container(
    spec: &PodSpec,
    histories: &BTreeMap<String, ContainerHistory>,
) -> bool {
    let policy = spec.restart_policy.as_deref();
    let inits = spec.init_containers.iter().flatten();
    inits
        .filter(|init| !is_restartable_init_container(init))
        .any(|init| {
            let current = histories
                .get(&init.name)
                .and_then(|history| history.current.as_ref());
            let exit = current.and_then(|instance| instance.exit);
            exit.is_some_and(|exit| exit.code != 0 && !should_restart(init, policy, exit.code))
        })
}

#[cfg(test)]
mod tests;
