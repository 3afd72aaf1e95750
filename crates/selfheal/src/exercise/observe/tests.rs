use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::{PodSeen, Seen, on_endpoints, on_pod, on_service};
use crate::exercise::Wait;

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
    let mut seen = Seen::default();
    on_pod(&mut seen, &Event::Apply(pod("1", 3, "True")));
    let ip = Some("10.244.0.2".to_owned());
    let expected = PodSeen {
        name: "pod-1".to_owned(),
        ip,
        restarts: 3,
        ready: true,
    };
    assert_eq!(seen.pods["1"], expected);
    on_pod(&mut seen, &Event::Apply(pod("1", 3, "False")));
    assert!(!seen.pods["1"].ready);
    on_pod(&mut seen, &Event::Delete(pod("1", 3, "False")));
    assert!(seen.pods.is_empty());
}

#[test]
fn a_pod_that_is_being_deleted_is_not_ready() {
    let mut seen = Seen::default();
    let mut ending = pod("1", 0, "True");
    ending.metadata.deletion_timestamp = of(json!("2026-01-01T00:00:00Z"));
    on_pod(&mut seen, &Event::Apply(ending));
    assert!(!seen.pods["1"].ready);
}

#[test]
fn a_new_listing_forgets_pods_that_are_gone_but_only_when_it_is_whole() {
    let mut seen = Seen::default();
    on_pod(&mut seen, &Event::Apply(pod("1", 0, "True")));
    on_pod(&mut seen, &Event::Init);
    on_pod(&mut seen, &Event::InitApply(pod("2", 0, "True")));
    assert_eq!(seen.pods.keys().collect::<Vec<_>>(), ["1"]);
    on_pod(&mut seen, &Event::InitDone);
    assert_eq!(seen.pods.keys().collect::<Vec<_>>(), ["2"]);
}

#[test]
fn each_change_in_the_number_of_ready_addresses_is_kept_and_a_repetition_is_not() {
    let mut seen = Seen::default();
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
fn a_service_is_reached_at_its_first_ingress_and_port() {
    let mut seen = Seen::default();
    let mut service: Service = of(json!({
        "spec": {"ports": [{"port": 8013}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}},
    }));
    on_service(&mut seen, &Event::Apply(service.clone()));
    assert_eq!(seen.address.as_deref(), Some("127.0.0.1:8013"));
    service.status = None;
    on_service(&mut seen, &Event::Apply(service));
    assert_eq!(seen.address, None);
}

#[track_caller]
fn meets(wait: (Option<usize>, Option<usize>, Option<i32>), expected: bool) {
    let mut seen = Seen {
        endpoints: vec![2, 1],
        ..Seen::default()
    };
    on_pod(&mut seen, &Event::Apply(pod("1", 1, "True")));
    on_pod(&mut seen, &Event::Apply(pod("2", 1, "False")));
    let (ready, endpoints, restarts) = wait;
    assert_eq!(
        seen.meets(&Wait {
            ready,
            endpoints,
            restarts,
            within: 1
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
