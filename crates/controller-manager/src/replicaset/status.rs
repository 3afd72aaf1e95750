//! Status of a replica set, computed from its pods.

use std::time::Duration;

use component_helpers::pods;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::replica_owner::ReplicaOwner;
use crate::meta::has_all_labels;

const REPLICA_FAILURE: &str = "ReplicaFailure";

/// Failure that kept the set from its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// `FailedCreate` or `FailedDelete`.
    pub(super) reason: &'static str,
    /// Message of the API.
    pub(super) message: String,
}

/// Computes the status of `set` with these active pods, and the time until the next of them is available.
pub(super) fn compute(
    set: &impl ReplicaOwner,
    active: &[&Pod],
    failure: Option<&Failure>,
    now: Timestamp,
) -> (ReplicaSetStatus, Option<Duration>) {
    let min_ready = set.min_ready();
    let template = set
        .template()
        .and_then(|template| template.metadata.as_ref());
    let template = template
        .and_then(|meta| meta.labels.clone())
        .unwrap_or_default();
    let waits: Vec<Duration> = active
        .iter()
        .filter_map(|pod| pods::time_until_available(pod, min_ready, now))
        .collect();
    let old = set.status();
    let status = ReplicaSetStatus {
        replicas: count(active.len()),
        fully_labeled_replicas: non_zero(
            active
                .iter()
                .filter(|pod| has_all_labels(pod.metadata.labels.as_ref(), &template))
                .count(),
        ),
        ready_replicas: non_zero(active.iter().filter(|pod| pods::is_ready(pod)).count()),
        available_replicas: non_zero(waits.iter().filter(|wait| wait.is_zero()).count()),
        observed_generation: set.meta().generation,
        conditions: conditions(
            old.as_ref().and_then(|status| status.conditions.as_deref()),
            failure,
            now,
        ),
        ..ReplicaSetStatus::default()
    };
    (
        status,
        waits.into_iter().filter(|wait| !wait.is_zero()).min(),
    )
}

/// Computes the conditions. A failure keeps its first message until it is resolved.
fn conditions(
    old: Option<&[ReplicaSetCondition]>,
    failure: Option<&Failure>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let (failed, mut rest): (Vec<_>, Vec<_>) = old
        .unwrap_or_default()
        .iter()
        .cloned()
        .partition(|condition| condition.type_ == REPLICA_FAILURE);
    if let Some(failure) = failure {
        rest.push(
            failed
                .into_iter()
                .next()
                .unwrap_or_else(|| ReplicaSetCondition {
                    type_: REPLICA_FAILURE.to_owned(),
                    status: "True".to_owned(),
                    reason: Some(failure.reason.to_owned()),
                    message: Some(failure.message.clone()),
                    last_transition_time: Some(Time(now)),
                }),
        );
    }
    (!rest.is_empty()).then_some(rest)
}

fn count(pods: usize) -> i32 {
    i32::try_from(pods).unwrap_or(i32::MAX)
}

/// Returns `None` for 0, which the API omits.
fn non_zero(pods: usize) -> Option<i32> {
    (pods > 0).then(|| count(pods))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSet;
    use serde_json::json;

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn set(min_ready: i32) -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {"name": "api", "generation": 3},
            "spec": {
                "minReadySeconds": min_ready,
                "selector": {"matchLabels": {"app": "api"}},
                "template": {"metadata": {"labels": {"app": "api", "v": "1"}}},
            },
        }))
        .expect("a replica set")
    }

    fn pod(ready: &str, since: i64, version: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"labels": {"app": "api", "v": version}},
            "status": {"conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": second(since).to_string()}]},
        }))
        .expect("a pod")
    }

    #[test]
    fn pods_are_counted_by_label_readiness_and_availability() {
        let pods = [
            pod("True", 0, "1"),
            pod("True", 0, "2"),
            pod("False", 0, "1"),
        ];
        let (status, wait) = compute(&set(0), &pods.iter().collect::<Vec<_>>(), None, second(0));
        assert_eq!(status.replicas, 3);
        assert_eq!(status.fully_labeled_replicas, Some(2));
        assert_eq!(status.ready_replicas, Some(2));
        assert_eq!(status.available_replicas, Some(2));
        assert_eq!(status.observed_generation, Some(3));
        assert_eq!(wait, None);
    }

    #[test]
    fn zero_counts_are_omitted_except_replicas() {
        let (status, _) = compute(&set(0), &[], None, second(0));
        assert_eq!(
            (
                status.replicas,
                status.ready_replicas,
                status.available_replicas
            ),
            (0, None, None)
        );
    }

    #[test]
    fn pod_is_available_after_min_ready_seconds() {
        let pods = [
            pod("True", 0, "1"),
            pod("True", 4, "1"),
            pod("True", 7, "1"),
        ];
        let pods: Vec<_> = pods.iter().collect();
        let (status, wait) = compute(&set(10), &pods, None, second(10));
        assert_eq!(status.available_replicas, Some(1));
        assert_eq!(wait, Some(Duration::from_secs(4)));
    }

    #[test]
    fn failure_condition_is_kept_until_it_is_resolved() {
        let failure = Failure {
            reason: "FailedCreate",
            message: "quota exceeded".to_owned(),
        };
        let mut set = set(0);
        let (status, _) = compute(&set, &[], Some(&failure), second(1));
        let shown = status.conditions.clone().expect("a condition");
        assert_eq!(shown[0].reason.as_deref(), Some("FailedCreate"));
        set.status = Some(status);
        let (later, _) = compute(&set, &[], Some(&failure), second(9));
        assert_eq!(later.conditions, Some(shown));
        assert_eq!(compute(&set, &[], None, second(9)).0.conditions, None);
    }
}
