//! Which pods of a replica set go first when it shrinks.

use std::cmp::Ordering;
use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::controllers::pods;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The `count` pods to delete, first victim first. Everything that could distinguish two pods is asked in the
/// controller's order; pods that differ in nothing go by UID.
pub(super) fn choose<'a>(pods: &[&'a Pod], count: usize, now: Timestamp) -> Vec<&'a Pod> {
    let mut on_node: HashMap<&str, usize> = HashMap::new();
    for pod in pods {
        *on_node.entry(node(pod)).or_default() += 1;
    }
    let mut ranked = pods.to_vec();
    ranked.sort_by(|a, b| compare(a, b, &on_node, now));
    ranked.truncate(count);
    ranked
}

fn compare(a: &Pod, b: &Pod, on_node: &HashMap<&str, usize>, now: Timestamp) -> Ordering {
    let siblings = |pod: &Pod| on_node.get(node(pod)).copied().unwrap_or_default();
    (!node(a).is_empty())
        .cmp(&!node(b).is_empty())
        .then_with(|| phase(a).cmp(&phase(b)))
        .then_with(|| pods::ready(a).cmp(&pods::ready(b)))
        .then_with(|| cost(a).cmp(&cost(b)))
        .then_with(|| siblings(b).cmp(&siblings(a)))
        .then_with(|| by_ready_time(a, b, now))
        .then_with(|| pods::restarts(b).cmp(&pods::restarts(a)))
        .then_with(|| {
            by_age(
                a.metadata.creation_timestamp.as_ref().map(|t| t.0),
                b.metadata.creation_timestamp.as_ref().map(|t| t.0),
                a,
                b,
                now,
            )
        })
        .then_with(|| a.metadata.uid.cmp(&b.metadata.uid))
}

fn by_ready_time(a: &Pod, b: &Pod, now: Timestamp) -> Ordering {
    if !pods::ready(a) || !pods::ready(b) {
        return Ordering::Equal;
    }
    by_age(pods::ready_since(a), pods::ready_since(b), a, b, now)
}

/// The younger first, where ages within the same power of two of nanoseconds are alike and go by UID; a pod without a
/// time is taken for the youngest.
fn by_age(
    a: Option<Timestamp>,
    b: Option<Timestamp>,
    pod_a: &Pod,
    pod_b: &Pod,
    now: Timestamp,
) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let bucket = |since: Option<Timestamp>| {
        since.map_or(i64::MIN, |since| {
            let age = now.as_nanosecond() - since.as_nanosecond();
            if age <= 0 { -1 } else { i64::from(age.ilog2()) }
        })
    };
    bucket(a)
        .cmp(&bucket(b))
        .then_with(|| pod_a.metadata.uid.cmp(&pod_b.metadata.uid))
}

fn node(pod: &Pod) -> &str {
    pod.spec
        .as_ref()
        .and_then(|spec| spec.node_name.as_deref())
        .unwrap_or_default()
}

fn phase(pod: &Pod) -> u8 {
    match pods::phase(pod) {
        "Pending" => 0,
        "Running" => 2,
        _ => 1,
    }
}

/// What deleting the pod is said to cost; what does not parse costs nothing.
fn cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(DELETION_COST))
        .and_then(|cost| cost.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;
