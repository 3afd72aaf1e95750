//! What a replica set says of its pods.

use std::time::Duration;

use component_helpers::pods;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::copies::Copies;
use crate::meta::has_all;

const FAILURE: &str = "ReplicaFailure";

/// Why the set could not be brought to its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// `FailedCreate` or `FailedDelete`.
    pub(super) reason: &'static str,
    /// What the API said.
    pub(super) message: String,
}

/// The status of `set` with these active pods, and when one of them becomes available next.
pub(super) fn compute(
    set: &impl Copies,
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
        fully_labeled_replicas: some(
            active
                .iter()
                .filter(|pod| has_all(pod.metadata.labels.as_ref(), &template))
                .count(),
        ),
        ready_replicas: some(active.iter().filter(|pod| pods::is_ready(pod)).count()),
        available_replicas: some(waits.iter().filter(|wait| wait.is_zero()).count()),
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

/// A failure stays as it was first seen until it is over.
fn conditions(
    old: Option<&[ReplicaSetCondition]>,
    failure: Option<&Failure>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let (failed, mut rest): (Vec<_>, Vec<_>) = old
        .unwrap_or_default()
        .iter()
        .cloned()
        .partition(|condition| condition.type_ == FAILURE);
    if let Some(failure) = failure {
        rest.push(
            failed
                .into_iter()
                .next()
                .unwrap_or_else(|| ReplicaSetCondition {
                    type_: FAILURE.to_owned(),
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

/// The API leaves a zero out.
fn some(pods: usize) -> Option<i32> {
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
    fn pods_are_counted_by_what_they_are() {
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
    fn zeros_are_left_out_but_for_replicas() {
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
    fn a_pod_is_available_when_it_has_been_ready_long_enough() {
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
    fn a_failure_is_shown_until_it_is_over() {
        let failure = Failure {
            reason: "FailedCreate",
            message: "no room".to_owned(),
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
