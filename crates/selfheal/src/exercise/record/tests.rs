//! From objects as an API server shows them to what a recording says.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Seen, What, transcribe};
use crate::recording::{Entry, Kind, Recording};

fn of<T: DeserializeOwned>(object: Value) -> Box<T> {
    Box::new(serde_json::from_value(object).unwrap())
}

/// Something that is seen in each second, from the first.
fn log(seen: Vec<What>) -> Vec<Seen> {
    let timed = seen.into_iter().zip(1..);
    timed
        .map(|(what, at)| Seen {
            at: Duration::from_secs(at),
            gone: false,
            what,
        })
        .collect()
}

fn deployment(uid: &str, conditions: &Value) -> What {
    What::Deployment(of(json!({
        "metadata": {"name": "app", "uid": uid}, "status": {"conditions": conditions},
    })))
}

fn owned(name: &str, kind: &str, owner: &str) -> Value {
    let owner = json!({"apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": owner});
    json!({"name": name, "uid": name, "ownerReferences": [owner]})
}

fn set(name: &str, owner: &str) -> What {
    What::Set(of(json!({"metadata": owned(name, "Deployment", owner)})))
}

fn pod_with(name: &str, set: &str, status: &Value) -> What {
    let probe = |seconds: i32| json!({"periodSeconds": seconds});
    What::Pod(of(json!({
        "metadata": owned(name, "ReplicaSet", set),
        "spec": {"nodeName": "node", "containers": [
            {"name": "c", "readinessProbe": probe(5), "livenessProbe": probe(20)},
            {"name": "d", "startupProbe": {}},
        ]},
        "status": status,
    })))
}

fn pod(name: &str, set: &str) -> What {
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

fn endpoints(uid: &str, addresses: usize) -> What {
    let addresses = vec![json!({"ip": "10.0.0.1"}); addresses];
    What::Endpoints(of(
        json!({"metadata": {"name": "app", "uid": uid}, "subsets": [{"addresses": addresses}]}),
    ))
}

fn event(uid: &str, (kind, about): (&str, &str), count: i32, message: &str) -> What {
    What::Event(of(json!({
        "metadata": {"name": uid, "uid": uid}, "count": count, "type": "Normal", "reason": "Did", "message": message,
        "involvedObject": {"kind": kind, "uid": about, "fieldPath": "spec.containers{c}"},
        "source": {"component": "kubelet"},
    })))
}

/// A deployment with two sets, of two pods and of one.
fn world() -> Vec<What> {
    vec![
        deployment("d", &json!([])),
        set("app-aaa", "d"),
        pod("app-aaa-x", "app-aaa"),
        pod("app-aaa-b", "app-aaa"),
        set("app-bbb", "d"),
        pod("app-bbb-q", "app-bbb"),
    ]
}

fn told(more: Vec<What>) -> Recording {
    let mut seen = world();
    seen.extend(more);
    transcribe(&log(seen), "default")
}

fn texts(recording: &Recording, subject: &str) -> Vec<String> {
    let entries = recording.subjects.get(subject).into_iter().flatten();
    entries.map(|entry| entry.text.clone()).collect()
}

#[test]
fn pods_are_named_after_the_order_of_their_making() {
    let recording = told(vec![pod("app-aaa-x", "app-aaa")]);
    let subjects: Vec<_> = recording.subjects.keys().collect();
    assert_eq!(subjects, ["pod app.1#1", "pod app.1#2", "pod app.2#1"]);
    for subject in subjects {
        assert_eq!(texts(&recording, subject), ["created"]);
    }
}

#[test]
fn what_an_earlier_exercise_left_is_no_part_of_it() {
    let recording = told(vec![
        set("app-old", "deleted"),
        pod("app-old-x", "app-old"),
        event("e", ("Pod", "app-old-x"), 1, "old"),
        endpoints("e", 2),
        endpoints("e", 0),
        // Its watch may be ahead of the pods', by a little.
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
fn each_change_of_a_pod_is_told_once() {
    let running = json!({"running": {}});
    let waits = |reason: &str| json!({"waiting": {"reason": reason, "message": "pod=app-bbb-q_default(uid)"}});
    let mut ending = pod_with("app-bbb-q", "app-bbb", &status("False", 1, &running));
    if let What::Pod(pod) = &mut ending {
        let object = json!("2026-01-01T00:00:00Z");
        pod.metadata.deletion_timestamp = serde_json::from_value(object).unwrap();
    }
    let seen = |status: Value| pod_with("app-bbb-q", "app-bbb", &status);
    let recording = told(vec![
        seen(status("False", 0, &waits("ContainerCreating"))),
        seen(status("True", 0, &running)),
        seen(status("True", 0, &running)),
        seen(status("False", 1, &waits("CrashLoopBackOff"))),
        seen(status("False", 1, &running)),
        seen(status("False", 1, &waits("CrashLoopBackOff"))),
        ending,
    ]);
    let expected = [
        "created",
        "ready",
        "c restarted: 1 after Error (137)",
        "c waits: CrashLoopBackOff: pod=app.2#*_NAMESPACE(uid)",
        "not ready",
        "c waits: CrashLoopBackOff: pod=app.2#*_NAMESPACE(uid)",
        "being deleted",
    ];
    assert_eq!(texts(&recording, "pod app.2#1"), expected);
    let first = Entry {
        at: 6.0,
        kind: Kind::Change,
        text: "created".to_owned(),
        count: None,
    };
    assert_eq!(recording.subjects["pod app.2#1"][0], first);
}

#[test]
fn a_pod_that_is_gone_is_told_of() {
    let mut seen = log(world());
    seen.push(Seen {
        at: Duration::from_millis(9_500),
        gone: true,
        what: pod("app-bbb-q", "app-bbb"),
    });
    let recording = transcribe(&seen, "default");
    let last = recording.subjects["pod app.2#1"].last().unwrap();
    assert_eq!((last.at, last.text.as_str()), (9.5, "gone"));
}

#[test]
fn the_longest_period_of_an_applications_probes_is_kept() {
    assert_eq!(told(vec![]).periods["app"], 20);
}

#[test]
fn a_deployments_conditions_are_told_when_they_change() {
    let condition = |status: &str, at: i32| json!([{"type": "Available", "status": status, "reason": "R", "message": "app-bbb", "lastUpdateTime": format!("2026-01-01T00:00:0{at}Z")}]);
    let recording = told(vec![
        deployment("d", &condition("False", 1)),
        deployment("d", &condition("False", 2)),
        deployment("d", &condition("True", 3)),
    ]);
    let expected = ["Available False R: app.2", "Available True R: app.2"];
    assert_eq!(texts(&recording, "deployment app"), expected);
}

#[test]
fn events_with_the_same_words_are_one_and_are_counted_together() {
    let about = ("Pod", "app-aaa-x");
    let recording = told(vec![
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
fn plain(text: &str, expected: &str) {
    let recording = told(vec![event("1", ("Pod", "app-bbb-q"), 1, text)]);
    let found = texts(&recording, "pod app.2#1").pop().unwrap();
    assert_eq!(
        found,
        format!("Normal Did [spec.containers{{c}}]: {expected} (kubelet)")
    );
}

#[test]
fn what_is_a_clusters_own_is_not_in_what_is_told() {
    plain(
        "assigned default/app-aaa-b to node",
        "assigned NAMESPACE/app.1#* to NODE",
    );
    plain("image node/app and node", "image node/app and node");
    plain("dial tcp 10.244.0.3:80: refused", "dial tcp IP:80: refused");
    plain("read 10.0.0.1:41234->10.0.0.2:80", "read IP:PORT->IP:80");
    plain("took in 1.25s", "took in TIME");
    plain("(0f8fad5b-d9cb-469f-a165-70867728950e)", "(UID)");
    plain(&format!("containerd://{}", "a1".repeat(32)), "ID");
    plain("statuscode: 500", "statuscode: 500");
    plain("back-off 1m20s restarting", "back-off 1m20s restarting");
}

#[test]
fn a_tables_rows_are_sorted_and_have_no_ages_in_them() {
    let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
    let table = What::Table(
        "kubectl get pods".to_owned(),
        vec![
            row(["NAME", "RESTARTS", "AGE", "NODE"]),
            row(["app-aaa-x", "1 (2m5s ago)", "3m", "node"]),
            row(["app-aaa-b", "0", "4m", "node"]),
        ],
    );
    let recording = told(vec![table]);
    let expected = [
        "NAME | RESTARTS | AGE | NODE",
        "app.1#* | 0 | AGE | NODE",
        "app.1#* | 1 (AGE ago) | AGE | NODE",
    ];
    assert_eq!(texts(&recording, "table 1: kubectl get pods"), expected);
}

#[test]
fn what_the_exercise_did_is_told_in_its_order() {
    let acts = told(vec![
        What::Act("apply a".to_owned()),
        What::Act("call b".to_owned()),
    ])
    .acts;
    let acts: Vec<_> = acts.iter().map(|act| (act.at, act.text.as_str())).collect();
    assert_eq!(acts, [(7.0, "apply a"), (8.0, "call b")]);
}
