//! Recordings of objects as an API server sends them.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Observation, ObservedChange, Presence, normalize};
use crate::recording::{EntryKind, RecordEntry, Recording};

fn parse<T: DeserializeOwned>(object: Value) -> Box<T> {
    Box::new(serde_json::from_value(object).unwrap())
}

/// One observation in each second, from the first second on.
fn log(changes: Vec<ObservedChange>) -> Vec<Observation> {
    let timed = changes.into_iter().zip(1..);
    timed
        .map(|(change, at)| Observation {
            at: Duration::from_secs(at),
            presence: Presence::Exists,
            change,
        })
        .collect()
}

fn deployment(uid: &str, conditions: &Value) -> ObservedChange {
    ObservedChange::Deployment(parse(json!({
        "metadata": {"name": "app", "uid": uid}, "status": {"conditions": conditions},
    })))
}

fn owned(name: &str, kind: &str, owner: &str) -> Value {
    let owner = json!({"apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": owner});
    json!({"name": name, "uid": name, "ownerReferences": [owner]})
}

fn replica_set(name: &str, owner: &str) -> ObservedChange {
    ObservedChange::ReplicaSet(parse(json!({"metadata": owned(name, "Deployment", owner)})))
}

fn pod_with(name: &str, set: &str, status: &Value) -> ObservedChange {
    let probe = |seconds: i32| json!({"periodSeconds": seconds});
    ObservedChange::Pod(parse(json!({
        "metadata": owned(name, "ReplicaSet", set),
        "spec": {"nodeName": "node", "containers": [
            {"name": "c", "readinessProbe": probe(5), "livenessProbe": probe(20)},
            {"name": "d", "startupProbe": {}},
        ]},
        "status": status,
    })))
}

fn pod(name: &str, set: &str) -> ObservedChange {
    pod_with(name, set, &json!({}))
}

fn status(ready: &str, restarts: i32, state: &Value) -> Value {
    json!({
        "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}],
        "containerStatuses": [{
            "name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": restarts, "state": state,
            "lastState": {"terminated": {"exitCode": 137, "reason": "Error"}},
        }],
    })
}

fn endpoints(uid: &str, addresses: usize) -> ObservedChange {
    let addresses = vec![json!({"ip": "10.0.0.1"}); addresses];
    ObservedChange::Endpoints(parse(
        json!({"metadata": {"name": "app", "uid": uid}, "subsets": [{"addresses": addresses}]}),
    ))
}

fn event(uid: &str, (kind, about): (&str, &str), count: i32, message: &str) -> ObservedChange {
    ObservedChange::Event(parse(json!({
        "metadata": {"name": uid, "uid": uid}, "count": count, "type": "Normal", "reason": "Did", "message": message,
        "involvedObject": {"kind": kind, "uid": about, "fieldPath": "spec.containers{c}"},
        "source": {"component": "kubelet"},
    })))
}

/// A deployment with two replica sets, of two pods and of one.
fn two_revisions() -> Vec<ObservedChange> {
    vec![
        deployment("d", &json!([])),
        replica_set("app-aaa", "d"),
        pod("app-aaa-x", "app-aaa"),
        pod("app-aaa-b", "app-aaa"),
        replica_set("app-bbb", "d"),
        pod("app-bbb-q", "app-bbb"),
    ]
}

/// Recording of the deployment and further changes.
fn record(changes: Vec<ObservedChange>) -> Recording {
    let mut all = two_revisions();
    all.extend(changes);
    normalize(&log(all), "default")
}

fn texts(recording: &Recording, subject: &str) -> Vec<String> {
    let entries = recording.subjects.get(subject).into_iter().flatten();
    entries.map(|entry| entry.text.clone()).collect()
}

#[test]
fn pods_are_numbered_in_the_order_of_their_creation() {
    let recording = record(vec![pod("app-aaa-x", "app-aaa")]);
    let subjects: Vec<_> = recording.subjects.keys().collect();
    assert_eq!(subjects, ["pod app.1#1", "pod app.1#2", "pod app.2#1"]);
    for subject in subjects {
        assert_eq!(texts(&recording, subject), ["created"]);
    }
}

#[test]
fn objects_of_an_earlier_exercise_are_not_recorded() {
    let recording = record(vec![
        replica_set("app-old", "deleted"),
        pod("app-old-x", "app-old"),
        event("e", ("Pod", "app-old-x"), 1, "old"),
        endpoints("e", 2),
        endpoints("e", 0),
        // The watch of endpoints may be ahead of that of pods.
        endpoints("e", 1),
        pod_with("app-bbb-q", "app-bbb", &status("True", 0, &json!({}))),
        endpoints("e", 2),
    ]);
    let subjects: Vec<_> = recording.subjects.keys().collect();
    assert_eq!(
        subjects,
        ["endpoints app", "pod app.1#1", "pod app.1#2", "pod app.2#1"]
    );
    assert_eq!(texts(&recording, "pod app.2#1"), ["created", "ready"]);
    let counts = ["addresses: 1", "addresses: 2"];
    assert_eq!(texts(&recording, "endpoints app"), counts);
}

#[test]
fn each_change_of_a_pod_is_recorded_once() {
    let running = json!({"running": {}});
    let waiting = |reason: &str| json!({"waiting": {"reason": reason, "message": "pod=app-bbb-q_default(uid)"}});
    let mut terminating = pod_with("app-bbb-q", "app-bbb", &status("False", 1, &running));
    if let ObservedChange::Pod(pod) = &mut terminating {
        let time = json!("2026-01-01T00:00:00Z");
        pod.metadata.deletion_timestamp = serde_json::from_value(time).unwrap();
    }
    let changed = |status: Value| pod_with("app-bbb-q", "app-bbb", &status);
    let recording = record(vec![
        changed(status("False", 0, &waiting("ContainerCreating"))),
        changed(status("True", 0, &running)),
        changed(status("True", 0, &running)),
        changed(status("False", 1, &waiting("CrashLoopBackOff"))),
        changed(status("False", 1, &running)),
        changed(status("False", 1, &waiting("CrashLoopBackOff"))),
        terminating,
    ]);
    let expected = [
        "created",
        "ready",
        "c restarted: 1 after Error (137)",
        "c waiting: CrashLoopBackOff: pod=app.2#*_NAMESPACE(uid)",
        "not ready",
        "c waiting: CrashLoopBackOff: pod=app.2#*_NAMESPACE(uid)",
        "terminating",
    ];
    assert_eq!(texts(&recording, "pod app.2#1"), expected);
    let first = RecordEntry {
        at: 6.0,
        kind: EntryKind::Change,
        text: "created".to_owned(),
        count: None,
    };
    assert_eq!(recording.subjects["pod app.2#1"][0], first);
}

#[test]
fn deletion_of_a_pod_is_recorded_with_its_time() {
    let mut log = log(two_revisions());
    log.push(Observation {
        at: Duration::from_millis(9_500),
        presence: Presence::Deleted,
        change: pod("app-bbb-q", "app-bbb"),
    });
    let recording = normalize(&log, "default");
    let last = recording.subjects["pod app.2#1"].last().unwrap();
    assert_eq!((last.at, last.text.as_str()), (9.5, "deleted"));
}

#[test]
fn longest_probe_period_of_an_application_is_recorded() {
    assert_eq!(record(vec![]).probe_periods["app"], 20);
}

#[test]
fn deployment_conditions_are_recorded_when_they_change() {
    let condition = |status: &str, at: i32| json!([{"type": "Available", "status": status, "reason": "R", "message": "app-bbb", "lastUpdateTime": format!("2026-01-01T00:00:0{at}Z")}]);
    let recording = record(vec![
        deployment("d", &condition("False", 1)),
        deployment("d", &condition("False", 2)),
        deployment("d", &condition("True", 3)),
    ]);
    let expected = ["Available False R: app.2", "Available True R: app.2"];
    assert_eq!(texts(&recording, "deployment app"), expected);
}

#[test]
fn events_with_the_same_text_are_one_entry_with_the_total_count() {
    let about = ("Pod", "app-aaa-x");
    let recording = record(vec![
        event("1", about, 1, "Pulled app-aaa-x"),
        event("1", about, 3, "Pulled app-aaa-x"),
        event("2", about, 2, "Pulled app-aaa-b"),
        event("3", ("ReplicaSet", "app-aaa"), 1, "Made app-aaa-x"),
        event("4", ("Deployment", "d"), 1, "Scaled app-bbb\n"),
        event("5", ("Node", "node"), 1, "Ready"),
    ]);
    let found = recording.subjects["pod app.1#1"].last().unwrap();
    let text = "Normal Did [spec.containers{c}]: Pulled app.1#* (kubelet)";
    assert_eq!(
        (found.at, found.text.as_str(), found.count),
        (7.0, text, Some(5))
    );
    let text = "Normal Did [spec.containers{c}]: Made app.1#* (kubelet)";
    assert_eq!(texts(&recording, "replicaset app.1"), [text]);
    let text = "Normal Did [spec.containers{c}]: Scaled app.2 (kubelet)";
    assert_eq!(texts(&recording, "deployment app"), [text]);
    assert_eq!(recording.subjects.len(), 5);
}

#[track_caller]
fn assert_normalized(text: &str, expected: &str) {
    let recording = record(vec![event("1", ("Pod", "app-bbb-q"), 1, text)]);
    let found = texts(&recording, "pod app.2#1").pop().unwrap();
    assert_eq!(
        found,
        format!("Normal Did [spec.containers{{c}}]: {expected} (kubelet)")
    );
}

#[test]
fn cluster_specific_texts_are_replaced() {
    assert_normalized(
        "assigned default/app-aaa-b to node",
        "assigned NAMESPACE/app.1#* to NODE",
    );
    assert_normalized("image node/app and node", "image node/app and node");
    assert_normalized("dial tcp 10.244.0.3:80: refused", "dial tcp IP:80: refused");
    assert_normalized("read 10.0.0.1:41234->10.0.0.2:80", "read IP:PORT->IP:80");
    assert_normalized("took in 1.25s", "took in TIME");
    assert_normalized("(0f8fad5b-d9cb-469f-a165-70867728950e)", "(UID)");
    assert_normalized(&format!("containerd://{}", "a1".repeat(32)), "ID");
    assert_normalized("statuscode: 500", "statuscode: 500");
    assert_normalized("back-off 1m20s restarting", "back-off 1m20s restarting");
}

#[test]
fn table_rows_are_sorted_and_without_ages() {
    let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
    let table = ObservedChange::Table(
        "kubectl get pods".to_owned(),
        vec![
            row(["NAME", "RESTARTS", "AGE", "NODE"]),
            row(["app-aaa-x", "1 (2m5s ago)", "3m", "node"]),
            row(["app-aaa-b", "0", "4m", "node"]),
        ],
    );
    let recording = record(vec![table]);
    let expected = [
        "NAME | RESTARTS | AGE | NODE",
        "app.1#* | 0 | AGE | NODE",
        "app.1#* | 1 (AGE ago) | AGE | NODE",
    ];
    assert_eq!(texts(&recording, "table 1: kubectl get pods"), expected);
}

#[test]
fn actions_are_recorded_in_order() {
    let recording = record(vec![
        ObservedChange::Action("apply a".to_owned()),
        ObservedChange::Action("call b".to_owned()),
    ]);
    let actions = recording.actions.iter();
    let actions: Vec<_> = actions
        .map(|action| (action.at, action.text.as_str()))
        .collect();
    assert_eq!(actions, [(7.0, "apply a"), (8.0, "call b")]);
}
