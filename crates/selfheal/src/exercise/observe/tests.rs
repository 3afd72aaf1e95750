use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::{AppState, Observations, PodState, on_deployment, on_endpoints, on_pod, on_service};
use crate::exercise::step::Wait;

fn parse<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

fn pod(uid: &str, restarts: i32, ready: &str) -> Pod {
    parse(json!({
        "metadata": {"name": format!("pod-{uid}"), "uid": uid},
        "status": {
            "podIP": "10.244.0.2",
            "conditions": [{"type": "ContainersReady", "status": "True"}, {"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "api", "restartCount": restarts, "ready": true, "image": "", "imageID": ""}],
        },
    }))
}

fn endpoints(addresses: usize) -> Endpoints {
    let address = json!({"ip": "10.244.0.2"});
    parse(
        json!({"subsets": [{"addresses": vec![address.clone(); addresses], "notReadyAddresses": [address]}]}),
    )
}

#[test]
fn pod_state_has_restarts_and_readiness() {
    let mut app = AppState::default();
    on_pod(&mut app, &Event::Apply(pod("1", 3, "True")));
    let expected = PodState {
        name: "pod-1".to_owned(),
        ip: Some("10.244.0.2".to_owned()),
        restarts: 3,
        ready: true,
        ..PodState::default()
    };
    assert_eq!(app.pods["1"], expected);
    on_pod(&mut app, &Event::Apply(pod("1", 3, "False")));
    assert!(!app.pods["1"].ready);
    on_pod(&mut app, &Event::Delete(pod("1", 3, "False")));
    assert!(app.pods.is_empty());
}

#[test]
fn terminating_pod_is_not_ready() {
    let mut app = AppState::default();
    let mut terminating = pod("1", 0, "True");
    terminating.metadata.deletion_timestamp = parse(json!("2026-01-01T00:00:00Z"));
    on_pod(&mut app, &Event::Apply(terminating));
    assert!(!app.pods["1"].ready);
}

#[test]
fn new_list_replaces_the_pods_once_it_is_complete() {
    let mut app = AppState::default();
    on_pod(&mut app, &Event::Apply(pod("1", 0, "True")));
    on_pod(&mut app, &Event::Init);
    on_pod(&mut app, &Event::InitApply(pod("2", 0, "True")));
    assert_eq!(app.pods.keys().collect::<Vec<_>>(), ["1"]);
    on_pod(&mut app, &Event::InitDone);
    assert_eq!(app.pods.keys().collect::<Vec<_>>(), ["2"]);
}

#[test]
fn number_of_ready_addresses_is_recorded_when_it_changes() {
    let mut app = AppState::default();
    for count in [0, 1, 1, 2] {
        on_endpoints(&mut app, &Event::Apply(endpoints(count)));
    }
    assert_eq!(app.endpoints, [0, 1, 2]);
    app.set_checkpoint();
    on_endpoints(&mut app, &Event::Apply(endpoints(1)));
    assert_eq!(app.endpoints, [2, 1]);
    on_endpoints(&mut app, &Event::Delete(endpoints(1)));
    assert_eq!(app.endpoints, [2, 1, 0]);
}

#[test]
fn service_has_the_address_of_its_first_ingress_and_its_first_ports() {
    let mut app = AppState::default();
    let mut service: Service = parse(json!({
        "spec": {"ports": [{"port": 8013, "nodePort": 30013}, {"port": 8014, "nodePort": 30014}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}},
    }));
    on_service(&mut app, &Event::Apply(service.clone()));
    assert_eq!(app.address.as_deref(), Some("127.0.0.1:8013"));
    assert_eq!(app.node_port, Some(30013));
    service.status = None;
    on_service(&mut app, &Event::Apply(service.clone()));
    assert_eq!((app.address.clone(), app.node_port), (None, Some(30013)));
    on_service(&mut app, &Event::Delete(service));
    assert_eq!((app.address, app.node_port), (None, None));
}

#[track_caller]
fn assert_satisfies(wait: (Option<usize>, Option<usize>, Option<i32>), expected: bool) {
    let mut app = AppState {
        endpoints: vec![2, 1],
        ..AppState::default()
    };
    on_pod(&mut app, &Event::Apply(pod("1", 1, "True")));
    on_pod(&mut app, &Event::Apply(pod("2", 1, "False")));
    let (ready, endpoints, restarts) = wait;
    assert_eq!(
        app.satisfies(&Wait {
            ready,
            endpoints,
            restarts,
            ..Wait::default()
        }),
        expected,
        "{wait:?}"
    );
}

#[test]
fn wait_is_satisfied_if_all_its_conditions_hold() {
    assert_satisfies((None, Some(1), Some(2)), true);
    assert_satisfies((None, Some(2), Some(2)), false);
    assert_satisfies((None, Some(1), Some(1)), false);
    // One pod is ready, but there is another one.
    assert_satisfies((Some(1), None, None), false);
    assert_satisfies((Some(2), None, None), false);
}

#[test]
fn waiting_container_is_observed_with_reason_and_message() {
    let mut app = AppState::default();
    let mut waiting = pod("1", 3, "False");
    let container = &mut waiting
        .status
        .as_mut()
        .unwrap()
        .container_statuses
        .as_mut()
        .unwrap()[0];
    container.state =
        parse(json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}));
    let wait = Wait {
        waiting: Some("CrashLoopBackOff".to_owned()),
        ..Wait::default()
    };
    on_pod(&mut app, &Event::Apply(pod("1", 3, "False")));
    assert!(!app.satisfies(&wait));
    on_pod(&mut app, &Event::Apply(waiting));
    assert!(app.satisfies(&wait));
    let mut observations = Observations::default();
    *observations.app_mut("app") = app;
    let expected = "; pod pod-1 waits: back-off 10s";
    assert_eq!(observations.waiting_messages(), expected);
}

#[test]
fn each_pod_is_restarted_if_all_have_more_restarts_than_at_the_checkpoint() {
    let mut app = AppState::default();
    assert!(!app.is_each_restarted(), "no pods");
    for uid in ["1", "2"] {
        on_pod(&mut app, &Event::Apply(pod(uid, 1, "True")));
    }
    app.set_checkpoint();
    on_pod(&mut app, &Event::Apply(pod("1", 3, "True")));
    assert!(!app.is_each_restarted());
    on_pod(&mut app, &Event::Apply(pod("2", 2, "True")));
    assert!(app.is_each_restarted());
}

#[test]
fn deployment_is_rolled_out_if_all_replicas_are_updated_and_available() {
    let complete = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
    let with = |field: &str, value: i64| {
        let mut status = complete.clone();
        status[field] = json!(value);
        status
    };
    for (status, expected) in [
        (complete.clone(), true),
        (with("observedGeneration", 1), false),
        (with("replicas", 3), false),
        (with("updatedReplicas", 1), false),
        (with("availableReplicas", 1), false),
        (json!(null), false),
    ] {
        let mut app = AppState::default();
        let deployment = json!({"metadata": {"generation": 2}, "spec": {"replicas": 2, "selector": {}, "template": {}}, "status": status});
        on_deployment(&mut app, &Event::Apply(parse(deployment)));
        assert_eq!(app.rolled_out, Some(expected), "{status}");
    }
}

#[test]
fn checkpoint_resets_endpoints_of_every_application_and_page_texts() {
    let mut observations = Observations::default();
    observations.app_mut("a").endpoints = vec![1, 2];
    observations.app_mut("b").endpoints = vec![3];
    observations.page_texts.insert("text".to_owned());
    observations.set_checkpoint();
    let endpoints = ["a", "b"].map(|name| observations.app(name).endpoints.clone());
    assert_eq!(endpoints, [vec![2], vec![3]]);
    assert!(observations.page_texts.is_empty());
    assert!(observations.app("unknown").pods.is_empty());
}
