use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn timestamp(second: i64) -> String {
    Timestamp::from_second(second)
        .expect("in range")
        .to_string()
}

/// Creates a running, ready, old pod without restarts, changed by `patch`.
fn pod(uid: &str, patch: &Value) -> Pod {
    let mut pod = json!({
        "metadata": {"name": uid, "uid": uid, "creationTimestamp": timestamp(0)},
        "spec": {"nodeName": "here", "containers": []},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": timestamp(0)}],
            "containerStatuses": [],
        },
    });
    json_patch::merge(&mut pod, patch);
    serde_json::from_value(pod).expect("a pod")
}

fn ready(status: &str, since: i64) -> Value {
    json!({"status": {"conditions": [{"type": "Ready", "status": status, "lastTransitionTime": timestamp(since)}]}})
}

fn restarted(times: i32) -> Value {
    let status =
        json!({"name": "c", "restartCount": times, "ready": true, "image": "i", "imageID": ""});
    json!({"status": {"containerStatuses": [status]}})
}

/// Checks that `first` is deleted before `second` although its UID is greater.
#[track_caller]
fn check(first: &Value, second: &Value) {
    let (first, second) = (pod("z", first), pod("a", second));
    let now = Timestamp::from_second(10_000).expect("in range");
    for pods in [[&first, &second], [&second, &first]] {
        let chosen = pods_to_delete(&pods, 1, now);
        assert_eq!(chosen[0].metadata.uid.as_deref(), Some("z"));
    }
}

#[test]
fn unscheduled_pod_is_deleted_first() {
    check(
        &json!({"spec": {"nodeName": null}}),
        &json!({"status": {"phase": "Pending"}}),
    );
}

#[test]
fn pending_pods_are_deleted_before_unknown_and_running_ones() {
    check(
        &json!({"status": {"phase": "Pending"}}),
        &json!({"status": {"phase": "Unknown"}}),
    );
    check(&json!({"status": {"phase": "Unknown"}}), &json!({}));
}

#[test]
fn unready_pod_is_deleted_before_one_with_a_lower_cost() {
    let mut unready = ready("False", 0);
    unready["metadata"] = json!({"annotations": {DELETION_COST: "5"}});
    check(
        &unready,
        &json!({"metadata": {"annotations": {DELETION_COST: "-5"}}}),
    );
}

#[test]
fn pod_with_a_lower_cost_is_deleted_before_one_with_more_siblings() {
    check(
        &json!({"metadata": {"annotations": {DELETION_COST: "-1"}}}),
        &json!({}),
    );
    check(
        &json!({}),
        &json!({"metadata": {"annotations": {DELETION_COST: "1"}}}),
    );
}

#[test]
fn pods_with_more_siblings_on_the_node_are_deleted_first() {
    let now = Timestamp::from_second(10_000).expect("in range");
    let (alone, one, two) = (
        pod("a", &json!({"spec": {"nodeName": "there"}})),
        pod("x", &json!({})),
        pod("y", &json!({})),
    );
    let chosen = pods_to_delete(&[&alone, &one, &two], 2, now);
    let uids: Vec<_> = chosen
        .iter()
        .map(|pod| pod.metadata.uid.as_deref().unwrap_or_default())
        .collect();
    assert_eq!(uids, ["x", "y"]);
}

#[test]
fn more_recently_ready_pod_is_deleted_before_one_with_more_restarts() {
    check(&ready("True", 9_990), &restarted(3));
}

#[test]
fn ready_times_within_a_power_of_two_are_equal_and_ordered_by_uid() {
    let (a, z) = (pod("a", &ready("True", 0)), pod("z", &ready("True", 10)));
    let now = Timestamp::from_second(10_000).expect("in range");
    assert_eq!(
        pods_to_delete(&[&z, &a], 1, now)[0].metadata.uid.as_deref(),
        Some("a")
    );
}

#[test]
fn pod_with_more_restarts_is_deleted_before_a_younger_one() {
    check(
        &restarted(2),
        &json!({"metadata": {"creationTimestamp": timestamp(9_990)}}),
    );
}

#[test]
fn younger_pod_is_deleted_first() {
    check(
        &json!({"metadata": {"creationTimestamp": timestamp(9_990)}}),
        &json!({}),
    );
}

#[test]
fn zero_or_all_pods_are_returned_without_an_order() {
    let now = Timestamp::from_second(10_000).expect("in range");
    let (a, b) = (pod("a", &json!({})), pod("b", &json!({})));
    assert!(pods_to_delete(&[&a, &b], 0, now).is_empty());
    assert_eq!(pods_to_delete(&[&b, &a], 2, now), [&b, &a]);
}

/// Generates pods that differ in every field of the order, with times that share seconds and age buckets.
fn pods() -> impl Strategy<Value = Vec<Pod>> {
    let time = || proptest::option::of(prop_oneof![9_985_i64..10_002, Just(0)]);
    let one = (
        proptest::option::of(0..2_u8),
        prop_oneof![Just("Pending"), Just("Running"), Just("Unknown")],
        proptest::option::of(time()),
        -1..2_i32,
        0..3_i32,
        time(),
    );
    let one = one.prop_map(|(node, phase, ready, cost, restarts, created)| {
        let mut pod = pod("", &restarted(restarts));
        pod.metadata.creation_timestamp = created.map(time_of);
        pod.metadata.annotations = Some([(DELETION_COST.to_owned(), cost.to_string())].into());
        pod.spec.get_or_insert_default().node_name = node.map(|node| node.to_string());
        let status = pod.status.get_or_insert_default();
        status.phase = Some(phase.to_owned());
        let conditions = status.conditions.get_or_insert_default();
        match ready {
            Some(since) => conditions[0].last_transition_time = since.map(time_of),
            None => conditions.clear(),
        }
        pod
    });
    let many = proptest::collection::vec(one, 2..60).prop_shuffle();
    many.prop_map(|mut pods| {
        for (at, pod) in pods.iter_mut().enumerate() {
            pod.metadata.uid = Some(format!("{at:02}"));
        }
        pods
    })
}

fn time_of(second: i64) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Time {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        Timestamp::from_second(second).expect("in range"),
    )
}

proptest! {
    #[test]
    fn generated_pods_order_is_total_and_independent_of_the_input(pods in pods(), count in 0..60_usize) {
        let now = Timestamp::from_second(10_000).expect("in range");
        let ranks: Vec<Rank<'_>> = pods.iter().map(|pod| Rank::for_pod(pod, 1, now)).collect();
        for a in &ranks {
            for b in &ranks {
                prop_assert_eq!(a.cmp(b), b.cmp(a).reverse());
                prop_assert_eq!(a.cmp(b).is_eq(), a.uid == b.uid);
                for c in ranks.iter().filter(|c| a <= b && b <= *c) {
                    prop_assert!(a <= c);
                }
            }
        }
        let count = count.min(pods.len() - 1);
        let forward: Vec<&Pod> = pods.iter().collect();
        let backward: Vec<&Pod> = pods.iter().rev().collect();
        prop_assert_eq!(
            pods_to_delete(&forward, count, now),
            pods_to_delete(&backward, count, now)
        );
    }
}
