//! What there is to say of an object: facts, each by a key. A change of a fact is what is recorded.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Endpoints, Event, Pod};

/// What is said of an object, by what it is about.
pub(super) type Facts = BTreeMap<String, String>;

/// Through these every container passes, and a watch may miss them.
const PASSING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// A pod: there, ready or not, being deleted; its containers' restarts, and why they wait.
pub(super) fn pod(pod: &Pod) -> Facts {
    let mut facts = Facts::from([("0".to_owned(), "created".to_owned())]);
    let status = pod.status.as_ref();
    let word = if is_ready(pod) { "ready" } else { "not ready" };
    facts.insert("3 ready".to_owned(), word.to_owned());
    if pod.metadata.deletion_timestamp.is_some() {
        facts.insert("4".to_owned(), "being deleted".to_owned());
    }
    let containers = status.into_iter().flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    });
    containers.for_each(|status| container(status, &mut facts));
    facts
}

/// Whether it says that it is ready.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn container(status: &ContainerStatus, facts: &mut Facts) {
    let (name, restarts) = (&status.name, status.restart_count);
    let last = status.last_state.as_ref();
    let last = last.and_then(|state| state.terminated.as_ref());
    if restarts > 0 {
        let after = last.map(|end| {
            let reason = end.reason.as_deref().unwrap_or("no reason");
            format!(" after {reason} ({})", end.exit_code)
        });
        let after = after.unwrap_or_default();
        facts.insert(
            format!("1 restarts of {name}"),
            format!("{name} restarted: {restarts}{after}"),
        );
    }
    let waiting = status
        .state
        .as_ref()
        .and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    if let Some(reason) = reason.filter(|reason| !PASSING.contains(reason)) {
        let message = waiting.and_then(|waiting| waiting.message.as_deref());
        let message = message.unwrap_or_default();
        facts.insert(
            format!("2 waiting of {name}"),
            format!("{name} waits: {reason}: {message}"),
        );
    }
}

/// A deployment's conditions.
pub(super) fn deployment(deployment: &Deployment) -> Facts {
    let status = deployment.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let fact = |condition: &k8s_openapi::api::apps::v1::DeploymentCondition| {
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

/// How many addresses a service has.
pub(super) fn endpoints(endpoints: &Endpoints) -> Facts {
    let subsets = endpoints.subsets.iter().flatten();
    let count: usize = subsets
        .map(|subset| subset.addresses.as_ref().map_or(0, Vec::len))
        .sum();
    Facts::from([(String::new(), format!("addresses: {count}"))])
}

/// What holds of every object of a kind before anything else does, and is not told.
pub(super) fn at_first() -> Facts {
    let facts = [("3 ready", "not ready"), ("", "addresses: 0")];
    facts
        .map(|(key, text)| (key.to_owned(), text.to_owned()))
        .into()
}

/// An event in a line, as `kubectl describe` shows it.
pub(super) fn event(event: &Event) -> String {
    let word = |field: &Option<String>| field.clone().unwrap_or_default();
    let source = event
        .source
        .as_ref()
        .and_then(|source| source.component.clone());
    let source = source.filter(|component| !component.is_empty());
    let source = source.unwrap_or_else(|| word(&event.reporting_component));
    let place = event.involved_object.field_path.as_deref();
    let place = place.map(|place| format!(" [{place}]")).unwrap_or_default();
    format!(
        "{} {}{place}: {} ({source})",
        word(&event.type_),
        word(&event.reason),
        word(&event.message).trim_end()
    )
}

/// The longest period of a pod's probes.
pub(super) fn longest_period(pod: &Pod) -> Option<i32> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let probes = containers.flat_map(|container| {
        let probes = [
            &container.readiness_probe,
            &container.liveness_probe,
            &container.startup_probe,
        ];
        probes.into_iter().flatten()
    });
    // The API server fills it in.
    probes.map(|probe| probe.period_seconds.unwrap_or(10)).max()
}
