use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

fn at(second: i64) -> String {
    Timestamp::from_second(second)
        .expect("in range")
        .to_string()
}

/// A running, ready, old pod with no restarts, changed by `patch`.
fn pod(uid: &str, patch: &Value) -> Pod {
    let mut pod = json!({
        "metadata": {"name": uid, "uid": uid, "creationTimestamp": at(0)},
        "spec": {"nodeName": "here", "containers": []},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": at(0)}],
            "containerStatuses": [],
        },
    });
    json_patch::merge(&mut pod, patch);
    serde_json::from_value(pod).expect("a pod")
}

fn ready(status: &str, since: i64) -> Value {
    json!({"status": {"conditions": [{"type": "Ready", "status": status, "lastTransitionTime": at(since)}]}})
}

fn restarted(times: i32) -> Value {
    let status =
        json!({"name": "c", "restartCount": times, "ready": true, "image": "i", "imageID": ""});
    json!({"status": {"containerStatuses": [status]}})
}

/// `victim` goes before `survivor`, though its UID is the greater one.
#[track_caller]
fn check(victim: &Value, survivor: &Value) {
    let (victim, survivor) = (pod("z", victim), pod("a", survivor));
    let now = Timestamp::from_second(10_000).expect("in range");
    for pods in [[&victim, &survivor], [&survivor, &victim]] {
        let chosen = choose(&pods, 1, now);
        assert_eq!(chosen[0].metadata.uid.as_deref(), Some("z"));
    }
}

#[test]
fn a_pod_on_no_node_goes_first() {
    check(
        &json!({"spec": {"nodeName": null}}),
        &json!({"status": {"phase": "Pending"}}),
    );
}

#[test]
fn pending_goes_before_unknown_goes_before_running() {
    check(
        &json!({"status": {"phase": "Pending"}}),
        &json!({"status": {"phase": "Unknown"}}),
    );
    check(&json!({"status": {"phase": "Unknown"}}), &json!({}));
}

#[test]
fn an_unready_pod_goes_before_a_cheaper_one() {
    let mut unready = ready("False", 0);
    unready["metadata"] = json!({"annotations": {DELETION_COST: "5"}});
    check(
        &unready,
        &json!({"metadata": {"annotations": {DELETION_COST: "-5"}}}),
    );
}

#[test]
fn the_cheaper_pod_goes_before_the_one_with_more_siblings() {
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
fn more_siblings_on_the_node_go_first() {
    let now = Timestamp::from_second(10_000).expect("in range");
    let (alone, one, two) = (
        pod("a", &json!({"spec": {"nodeName": "there"}})),
        pod("x", &json!({})),
        pod("y", &json!({})),
    );
    let chosen = choose(&[&alone, &one, &two], 2, now);
    let uids: Vec<_> = chosen
        .iter()
        .map(|pod| pod.metadata.uid.as_deref().unwrap_or_default())
        .collect();
    assert_eq!(uids, ["x", "y"]);
}

#[test]
fn the_more_recently_ready_goes_before_the_more_often_restarted() {
    check(&ready("True", 9_990), &restarted(3));
}

#[test]
fn ready_times_within_a_power_of_two_are_alike_and_go_by_uid() {
    let (a, z) = (pod("a", &ready("True", 0)), pod("z", &ready("True", 10)));
    let now = Timestamp::from_second(10_000).expect("in range");
    assert_eq!(
        choose(&[&z, &a], 1, now)[0].metadata.uid.as_deref(),
        Some("a")
    );
}

#[test]
fn more_restarts_go_before_the_younger() {
    check(
        &restarted(2),
        &json!({"metadata": {"creationTimestamp": at(9_990)}}),
    );
}

#[test]
fn the_younger_goes_first() {
    check(
        &json!({"metadata": {"creationTimestamp": at(9_990)}}),
        &json!({}),
    );
}
