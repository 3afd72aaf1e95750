use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::{AppSeen, PodSeen, Seen, on_deployment, on_endpoints, on_pod, on_service};
use crate::exercise::step::Wait;

fn of<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

fn pod(uid: &str, restarts: i32, ready: &str) -> Pod {
    of(json!({
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
    of(
        json!({"subsets": [{"addresses": vec![address.clone(); addresses], "notReadyAddresses": [address]}]}),
    )
}

#[test]
fn a_pod_is_seen_with_its_restarts_and_readiness() {
    let mut seen = AppSeen::default();
    on_pod(&mut seen, &Event::Apply(pod("1", 3, "True")));
    let ip = Some("10.244.0.2".to_owned());
    let expected = PodSeen {
        name: "pod-1".to_owned(),
        ip,
        restarts: 3,
        ready: true,
        waiting: None,
        message: None,
    };
    assert_eq!(seen.pods["1"], expected);
    on_pod(&mut seen, &Event::Apply(pod("1", 3, "False")));
    assert!(!seen.pods["1"].ready);
    on_pod(&mut seen, &Event::Delete(pod("1", 3, "False")));
    assert!(seen.pods.is_empty());
}

#[test]
fn a_pod_that_is_being_deleted_is_not_ready() {
    let mut seen = AppSeen::default();
    let mut ending = pod("1", 0, "True");
    ending.metadata.deletion_timestamp = of(json!("2026-01-01T00:00:00Z"));
    on_pod(&mut seen, &Event::Apply(ending));
    assert!(!seen.pods["1"].ready);
}

#[test]
fn a_new_listing_forgets_pods_that_are_gone_but_only_when_it_is_whole() {
    let mut seen = AppSeen::default();
    on_pod(&mut seen, &Event::Apply(pod("1", 0, "True")));
    on_pod(&mut seen, &Event::Init);
    on_pod(&mut seen, &Event::InitApply(pod("2", 0, "True")));
    assert_eq!(seen.pods.keys().collect::<Vec<_>>(), ["1"]);
    on_pod(&mut seen, &Event::InitDone);
    assert_eq!(seen.pods.keys().collect::<Vec<_>>(), ["2"]);
}

#[test]
fn each_change_in_the_number_of_ready_addresses_is_kept_and_a_repetition_is_not() {
    let mut seen = AppSeen::default();
    for count in [0, 1, 1, 2] {
        on_endpoints(&mut seen, &Event::Apply(endpoints(count)));
    }
    assert_eq!(seen.endpoints, [0, 1, 2]);
    seen.mark();
    on_endpoints(&mut seen, &Event::Apply(endpoints(1)));
    assert_eq!(seen.endpoints, [2, 1]);
    on_endpoints(&mut seen, &Event::Delete(endpoints(1)));
    assert_eq!(seen.endpoints, [2, 1, 0]);
}

#[test]
fn a_service_is_reached_at_its_first_ingress_and_port_or_at_a_node() {
    let mut seen = AppSeen::default();
    let mut service: Service = of(json!({
        "spec": {"ports": [{"port": 8013, "nodePort": 30013}, {"port": 8014, "nodePort": 30014}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}},
    }));
    on_service(&mut seen, &Event::Apply(service.clone()));
    assert_eq!(seen.address.as_deref(), Some("127.0.0.1:8013"));
    assert_eq!(seen.node_port, Some(30013));
    service.status = None;
    on_service(&mut seen, &Event::Apply(service.clone()));
    assert_eq!((seen.address.clone(), seen.node_port), (None, Some(30013)));
    on_service(&mut seen, &Event::Delete(service));
    assert_eq!((seen.address, seen.node_port), (None, None));
}

#[track_caller]
fn meets(wait: (Option<usize>, Option<usize>, Option<i32>), expected: bool) {
    let mut seen = AppSeen {
        endpoints: vec![2, 1],
        ..AppSeen::default()
    };
    on_pod(&mut seen, &Event::Apply(pod("1", 1, "True")));
    on_pod(&mut seen, &Event::Apply(pod("2", 1, "False")));
    let (ready, endpoints, restarts) = wait;
    assert_eq!(
        seen.meets(&Wait {
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
fn a_wait_is_met_when_all_it_asks_for_is_so() {
    meets((None, Some(1), Some(2)), true);
    meets((None, Some(2), Some(2)), false);
    meets((None, Some(1), Some(1)), false);
    // One pod is ready, but it is not the only one.
    meets((Some(1), None, None), false);
    meets((Some(2), None, None), false);
}

#[test]
fn a_container_that_waits_is_seen_with_its_reason() {
    let mut seen = AppSeen::default();
    let mut waits = pod("1", 3, "False");
    let container = &mut waits
        .status
        .as_mut()
        .unwrap()
        .container_statuses
        .as_mut()
        .unwrap()[0];
    container.state =
        of(json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}));
    let wait = Wait {
        waiting: Some("CrashLoopBackOff".to_owned()),
        ..Wait::default()
    };
    on_pod(&mut seen, &Event::Apply(pod("1", 3, "False")));
    assert!(!seen.meets(&wait));
    on_pod(&mut seen, &Event::Apply(waits));
    assert!(seen.meets(&wait));
    let mut all = Seen::default();
    *all.app_mut("app") = seen;
    assert_eq!(all.waiting_messages(), "; pod pod-1 waits: back-off 10s");
}

#[test]
fn every_pod_is_restarted_when_each_has_more_restarts_than_at_the_mark() {
    let mut seen = AppSeen::default();
    assert!(!seen.each_restarted(), "there are none");
    for uid in ["1", "2"] {
        on_pod(&mut seen, &Event::Apply(pod(uid, 1, "True")));
    }
    seen.mark();
    on_pod(&mut seen, &Event::Apply(pod("1", 3, "True")));
    assert!(!seen.each_restarted());
    on_pod(&mut seen, &Event::Apply(pod("2", 2, "True")));
    assert!(seen.each_restarted());
}

#[test]
fn a_deployment_is_rolled_out_when_its_newest_revision_is_all_there_is() {
    let whole = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
    let with = |field: &str, value: i64| {
        let mut status = whole.clone();
        status[field] = json!(value);
        status
    };
    for (status, expected) in [
        (whole.clone(), true),
        (with("observedGeneration", 1), false),
        (with("replicas", 3), false),
        (with("updatedReplicas", 1), false),
        (with("availableReplicas", 1), false),
        (json!(null), false),
    ] {
        let mut seen = AppSeen::default();
        let deployment = json!({"metadata": {"generation": 2}, "spec": {"replicas": 2, "selector": {}, "template": {}}, "status": status});
        on_deployment(&mut seen, &Event::Apply(of(deployment)));
        assert_eq!(seen.rolled_out, Some(expected), "{status}");
    }
}

#[test]
fn a_mark_is_for_every_application_and_forgets_what_pages_have_shown() {
    let mut seen = Seen::default();
    seen.app_mut("a").endpoints = vec![1, 2];
    seen.app_mut("b").endpoints = vec![3];
    seen.shown.insert("text".to_owned());
    seen.mark();
    assert_eq!(
        (&seen.app("a").endpoints[..], &seen.app("b").endpoints[..]),
        (&[2][..], &[3][..])
    );
    assert!(seen.shown.is_empty());
    assert!(seen.app("unknown").pods.is_empty());
}
