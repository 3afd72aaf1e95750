//! The order in which a replica set deletes its surplus pods: upstream's `ActivePodsWithRanks`.

use std::cmp::Reverse;
use std::collections::HashMap;

use component_helpers::pods;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Returns the `count` pods to delete, the first to be deleted first.
pub(super) fn pods_to_delete<'a>(pods: &[&'a Pod], count: usize, now: Timestamp) -> Vec<&'a Pod> {
    if count == 0 {
        return Vec::new();
    }
    // The order decides which pods survive. Without survivors it is not needed.
    if count >= pods.len() {
        return pods.to_vec();
    }
    let mut pods_on_node: HashMap<&str, usize> = HashMap::new();
    for pod in pods {
        *pods_on_node.entry(node_name(pod)).or_default() += 1;
    }
    let mut ranked = pods.to_vec();
    ranked.sort_by_cached_key(|pod| Rank::for_pod(pod, pods_on_node[node_name(pod)], now));
    ranked.truncate(count);
    ranked
}

/// Sort key of a pod: the fields are compared in this order, and the pod with the smaller key is deleted first.
///
/// Upstream's comparison treats times of the same second as equal, and continues with the next field, but orders
/// different times within one age bucket by UID. That is not transitive. Here pods of one bucket are equal in that field,
/// and the UID is compared last.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    is_assigned: bool,
    phase: u8,
    is_ready: bool,
    cost: i32,
    pods_on_node: Reverse<usize>,
    /// `None` for a pod that is not ready.
    ready_age: Option<AgeBucket>,
    restarts: Reverse<i32>,
    age: AgeBucket,
    uid: Option<&'a str>,
}

impl<'a> Rank<'a> {
    fn for_pod(pod: &'a Pod, pods_on_node: usize, now: Timestamp) -> Self {
        let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let is_ready = pods::is_ready(pod);
        Self {
            is_assigned: !node_name(pod).is_empty(),
            phase: phase_rank(pod),
            is_ready,
            cost: deletion_cost(pod),
            pods_on_node: Reverse(pods_on_node),
            ready_age: is_ready.then(|| AgeBucket::for_time(pods::ready_since(pod), now)),
            restarts: Reverse(pods::max_restart_count(pod)),
            age: AgeBucket::for_time(created, now),
            uid: pod.metadata.uid.as_deref(),
        }
    }
}

/// Binary logarithm of an age in nanoseconds, so that the difference that counts grows with the age.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum AgeBucket {
    /// The time is not set: such a pod counts as the youngest.
    Unset,
    /// The time is not in the past.
    Future,
    Log2(u32),
}

impl AgeBucket {
    fn for_time(since: Option<Timestamp>, now: Timestamp) -> Self {
        let Some(since) = since else {
            return Self::Unset;
        };
        let age = now.as_nanosecond() - since.as_nanosecond();
        age.checked_ilog2().map_or(Self::Future, Self::Log2)
    }
}

fn node_name(pod: &Pod) -> &str {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.node_name.as_deref())
        .unwrap_or_default()
}

fn phase_rank(pod: &Pod) -> u8 {
    match pods::phase(pod) {
        "Pending" => 0,
        "Running" => 2,
        _ => 1,
    }
}

/// Returns the pod's deletion cost; 0 if the annotation is missing or not a number.
fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(DELETION_COST))
        .and_then(|cost| cost.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;
