//! A pod's status from what is known of its containers: phase, container states, conditions. Pure.
//!
//! [`containers`] comes first, then the probes' results set `started` and `ready` on what it returns, then
//! [`complete`] derives everything that depends on readiness.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use component_helpers::time::truncate_to_seconds;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus,
};

use super::actions::RestartPolicy;
use super::instance::{Instance, Record, Waiting};

mod conditions;

/// What is known of a pod at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Its address, once it has a sandbox.
    pub ip: Option<Ipv4Addr>,
    /// When the kubelet first saw it.
    pub start_time: Option<Timestamp>,
    /// Its containers by name; one that is missing has never run.
    pub containers: BTreeMap<String, Record>,
    /// Why the whole pod has failed, if it is not for its containers.
    pub failed: Option<Waiting>,
}

/// What the containers of a pod may say of their ends, together (`MaxPodTerminationMessageLogLength`).
const MOST_SAID: usize = 12 * 1024;

/// The scheme of container IDs in the API.
pub const SCHEME: &str = "selfheal://";

/// A status with nothing but the states of the pod's containers, in the manifest's order; nobody is ready yet.
#[must_use]
pub fn containers(pod: &Pod, observed: &Observed) -> PodStatus {
    let Some(spec) = &pod.spec else {
        return PodStatus::default();
    };
    let inits = spec.init_containers.as_deref().unwrap_or_default();
    let at_first = if inits.is_empty() {
        "ContainerCreating"
    } else {
        "PodInitializing"
    };
    let most = MOST_SAID / (inits.len() + spec.containers.len()).max(1);
    let status = |one: &Container| {
        let mut status = container(
            &one.name,
            one.image.as_deref().unwrap_or_default(),
            observed
                .containers
                .get(&one.name)
                .unwrap_or(&Record::NEVER_RAN),
            at_first,
        );
        for state in [&mut status.state, &mut status.last_state] {
            let ended = state.as_mut().and_then(|state| state.terminated.as_mut());
            if let Some(message) = ended.and_then(|ended| ended.message.as_mut()) {
                shorten(message, most);
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

/// Cuts a text to so many bytes, or a few less where a letter would be cut.
fn shorten(text: &mut String, most: usize) {
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
}

fn container(name: &str, image: &str, record: &Record, at_first: &str) -> ContainerStatus {
    let current = record.current.as_ref();
    let (state, last) = match (&record.waiting, current) {
        (Some(waiting), _) => (
            waiting_state(&waiting.reason, waiting.message.as_deref()),
            current.filter(|instance| instance.exit.is_some()),
        ),
        (None, Some(instance)) => (instance_state(instance), record.previous.as_ref()),
        (None, None) => (waiting_state(at_first, None), None),
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
    format!("{SCHEME}{}", instance.id.0)
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

/// The whole status; the containers' in `partial` carry `started` and `ready`. Conditions of other owners are kept.
#[must_use]
pub fn complete(
    pod: &Pod,
    observed: &Observed,
    partial: PodStatus,
    node_ip: &str,
    now: Timestamp,
) -> PodStatus {
    let phase = phase(pod, observed);
    let before = pod.status.as_ref();
    let conditions = conditions::all(pod, phase, observed.ip.is_some(), &partial);
    let previous = before
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let failed = observed.failed.as_ref().filter(|_| phase == "Failed");
    PodStatus {
        phase: Some(phase.to_owned()),
        reason: failed.map(|failed| failed.reason.clone()),
        message: failed.and_then(|failed| failed.message.clone()),
        conditions: Some(conditions::carry_over(conditions, previous, now)),
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

/// Pending, Running, Succeeded or Failed. A terminal phase stays.
#[must_use]
pub fn phase(pod: &Pod, observed: &Observed) -> &'static str {
    let records = &observed.containers;
    match pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
    {
        Some("Succeeded") => return "Succeeded",
        Some("Failed") => return "Failed",
        _ => {}
    }
    let Some(spec) = &pod.spec else {
        return "Pending";
    };
    let policy = RestartPolicy::parse(spec.restart_policy.as_deref());
    let record = |container: &Container| records.get(&container.name).unwrap_or(&Record::NEVER_RAN);
    // A pod has not ended before all in it have, sidecars too.
    let any_runs = records.values().any(|record| record.running().is_some());
    let inits = spec.init_containers.iter().flatten();
    let failed_init = inits
        .filter(|init| init.restart_policy.as_deref() != Some("Always"))
        .filter_map(|init| record(init).current.as_ref()?.exit)
        .any(|exit| !policy.restarts(exit.code) && exit.code != 0);
    if (failed_init || observed.failed.is_some()) && !any_runs {
        return "Failed";
    }
    let all: Vec<&Record> = spec.containers.iter().map(record).collect();
    if all.iter().any(|record| record.current.is_none()) {
        return "Pending";
    }
    let exits: Option<Vec<i32>> = all
        .iter()
        .map(|record| {
            record
                .current
                .as_ref()
                .and_then(|instance| instance.exit)
                .map(|exit| exit.code)
        })
        .collect();
    match exits {
        Some(codes) if !any_runs && !codes.iter().any(|code| policy.restarts(*code)) => {
            if codes.iter().all(|code| *code == 0) {
                "Succeeded"
            } else {
                "Failed"
            }
        }
        _ => "Running",
    }
}

#[cfg(test)]
mod tests;
