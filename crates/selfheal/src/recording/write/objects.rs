//! Facts about an object, each with a key. A change of a fact is recorded.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use k8s_openapi::api::core::v1::{ContainerStatus, Endpoints, Event, Pod};

use crate::exercise::observe::has_ready_condition;

/// Texts by key. The keys order facts that change together.
pub(super) type Facts = BTreeMap<String, String>;

/// Reasons of waiting containers that every container passes through and a watch may miss.
const TRANSIENT_REASONS: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// Period of a probe without `periodSeconds`.
const DEFAULT_PERIOD_SECONDS: i32 = 10;

/// Facts about a pod: its readiness and deletion, and the restarts and waiting reasons of its containers.
pub(super) fn pod_facts(pod: &Pod) -> Facts {
    let mut facts = Facts::from([("0".to_owned(), "created".to_owned())]);
    let status = pod.status.as_ref();
    let readiness = if has_ready_condition(pod) {
        "ready"
    } else {
        "not ready"
    };
    facts.insert("3 ready".to_owned(), readiness.to_owned());
    if pod.metadata.deletion_timestamp.is_some() {
        facts.insert("4".to_owned(), "terminating".to_owned());
    }
    let containers = status.into_iter().flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    });
    containers.for_each(|status| add_container_facts(status, &mut facts));
    facts
}

fn add_container_facts(status: &ContainerStatus, facts: &mut Facts) {
    let (name, restarts) = (&status.name, status.restart_count);
    let last_state = status.last_state.as_ref();
    let terminated = last_state.and_then(|state| state.terminated.as_ref());
    if restarts > 0 {
        let cause = terminated.map(|terminated| {
            let reason = terminated.reason.as_deref().unwrap_or("no reason");
            format!(" after {reason} ({})", terminated.exit_code)
        });
        let cause = cause.unwrap_or_default();
        facts.insert(
            format!("1 restarts of {name}"),
            format!("{name} restarted: {restarts}{cause}"),
        );
    }
    let waiting = status
        .state
        .as_ref()
        .and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    if let Some(reason) = reason.filter(|reason| !TRANSIENT_REASONS.contains(reason)) {
        let message = waiting.and_then(|waiting| waiting.message.as_deref());
        let message = message.unwrap_or_default();
        facts.insert(
            format!("2 waiting of {name}"),
            format!("{name} waiting: {reason}: {message}"),
        );
    }
}

/// Conditions of a deployment.
pub(super) fn deployment_facts(deployment: &Deployment) -> Facts {
    let status = deployment.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let fact = |condition: &DeploymentCondition| {
        let reason = condition.reason.as_deref().unwrap_or_default();
        let message = condition.message.as_deref().unwrap_or_default();
        let text = format!(
            "{} {} {reason}: {message}",
            condition.type_, condition.status
        );
        (condition.type_.clone(), text)
    };
    conditions.into_iter().flatten().map(fact).collect()
}

/// Number of a service's addresses.
pub(super) fn endpoints_facts(endpoints: &Endpoints) -> Facts {
    let subsets = endpoints.subsets.iter().flatten();
    let count: usize = subsets
        .map(|subset| subset.addresses.as_ref().map_or(0, Vec::len))
        .sum();
    Facts::from([(String::new(), format!("addresses: {count}"))])
}

/// Facts about every new object, which are not recorded.
pub(super) fn initial_facts() -> Facts {
    let facts = [("3 ready", "not ready"), ("", "addresses: 0")];
    facts
        .map(|(key, text)| (key.to_owned(), text.to_owned()))
        .into()
}

/// Text of an event in one line: type, reason, container, message and source.
pub(super) fn event_text(event: &Event) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let source = event
        .source
        .as_ref()
        .and_then(|source| source.component.clone());
    let source = source.filter(|component| !component.is_empty());
    let source = source.unwrap_or_else(|| text(&event.reporting_component));
    let field_path = event.involved_object.field_path.as_deref();
    let field_path = field_path.map(|path| format!(" [{path}]"));
    format!(
        "{} {}{}: {} ({source})",
        text(&event.type_),
        text(&event.reason),
        field_path.unwrap_or_default(),
        text(&event.message).trim_end()
    )
}

/// Longest period of a pod's probes, in seconds.
pub(super) fn longest_probe_period(pod: &Pod) -> Option<i32> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let probes = containers.flat_map(|container| {
        let probes = [
            &container.readiness_probe,
            &container.liveness_probe,
            &container.startup_probe,
        ];
        probes.into_iter().flatten()
    });
    probes
        .map(|probe| probe.period_seconds.unwrap_or(DEFAULT_PERIOD_SECONDS))
        .max()
}
