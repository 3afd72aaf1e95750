#![expect(
    clippy::needless_pass_by_value,
    reason = "tables of literals read better"
)]

use jiff::Timestamp;

use super::*;

fn now() -> Timestamp {
    "2026-01-01T00:10:00Z".parse().unwrap()
}

fn running(name: &str, ready: bool) -> Value {
    json!({"name": name, "ready": ready, "restartCount": 0, "state": {"running": {}}})
}

fn waiting(name: &str, reason: &str) -> Value {
    json!({"name": name, "ready": false, "restartCount": 0, "state": {"waiting": {"reason": reason}}})
}

fn terminated(name: &str, terminated: Value) -> Value {
    json!({"name": name, "ready": false, "restartCount": 0, "state": {"terminated": terminated}})
}

fn pod(phase: &str, containers: Vec<Value>) -> Value {
    let spec: Vec<_> = containers
        .iter()
        .map(|status| json!({"name": status["name"]}))
        .collect();
    json!({
        "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:08:00Z"},
        "spec": {"containers": spec},
        "status": {"phase": phase, "containerStatuses": containers},
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a table of literals reads better"
)]
#[track_caller]
fn check_pod(pod: Value, ready: &str, status: &str, restarts: &str) {
    let cells = pods::cells(&pod, now());
    assert_eq!(
        cells[1..4],
        [json!(ready), json!(status), json!(restarts)],
        "{pod}"
    );
}

#[test]
fn pod_has_the_status_of_its_first_container_that_is_not_running() {
    check_pod(pod("Pending", vec![]), "0/0", "Pending", "0");
    check_pod(
        pod("Running", vec![running("a", true), running("b", false)]),
        "1/2",
        "Running",
        "0",
    );
    check_pod(
        pod(
            "Running",
            vec![
                waiting("b", "CrashLoopBackOff"),
                waiting("a", "ErrImagePull"),
            ],
        ),
        "0/2",
        "ErrImagePull",
        "0",
    );
    check_pod(
        pod(
            "Running",
            vec![running("a", true), waiting("b", "CrashLoopBackOff")],
        ),
        "1/2",
        "CrashLoopBackOff",
        "0",
    );
    check_pod(
        pod(
            "Failed",
            vec![terminated("a", json!({"exitCode": 1, "reason": "Error"}))],
        ),
        "0/1",
        "Error",
        "0",
    );
    check_pod(
        pod("Failed", vec![terminated("a", json!({"exitCode": 3}))]),
        "0/1",
        "ExitCode:3",
        "0",
    );
    check_pod(
        pod(
            "Failed",
            vec![terminated("a", json!({"exitCode": 137, "signal": 9}))],
        ),
        "0/1",
        "Signal:9",
        "0",
    );
}

#[test]
fn completed_container_leaves_the_status_to_the_running_ones() {
    let done = || terminated("a", json!({"exitCode": 0, "reason": "Completed"}));
    check_pod(pod("Succeeded", vec![done()]), "0/1", "Completed", "0");
    check_pod(
        pod("Running", vec![done(), running("b", true)]),
        "1/2",
        "NotReady",
        "0",
    );
    let mut ready = pod("Running", vec![done(), running("b", true)]);
    ready["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    check_pod(ready, "1/2", "Running", "0");
    let failed = terminated("b", json!({"exitCode": 2, "reason": "Error"}));
    check_pod(pod("Failed", vec![done(), failed]), "0/2", "Error", "0");
}

#[test]
fn deleted_pod_is_terminating_unless_it_is_terminal() {
    for (phase, expected) in [("Running", "Terminating"), ("Succeeded", "Succeeded")] {
        let mut object = pod(phase, vec![]);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:09:00Z");
        check_pod(object, "0/0", expected, "0");
    }
}

#[test]
fn restarts_have_the_time_since_the_last_termination() {
    let restarted = |count: i64, at: &str| {
        json!({"name": at, "ready": true, "restartCount": count, "state": {"running": {}},
               "lastState": {"terminated": {"finishedAt": at}}})
    };
    let containers = vec![
        restarted(2, "2026-01-01T00:09:00Z"),
        restarted(1, "2026-01-01T00:09:30Z"),
    ];
    check_pod(pod("Running", containers), "2/2", "Running", "3 (30s ago)");
    check_pod(
        pod("Running", vec![restarted(0, "2026-01-01T00:09:00Z")]),
        "1/1",
        "Running",
        "0",
    );
}

#[test]
fn initializing_pod_has_the_status_of_its_init_containers() {
    let init = |states: Vec<Value>| {
        let mut object = pod("Pending", vec![waiting("a", "PodInitializing")]);
        object["spec"]["initContainers"] =
            json!([{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]);
        object["status"]["initContainerStatuses"] = json!(states);
        object
    };
    let done = || terminated("i", json!({"exitCode": 0}));
    let sidecar = json!({"name": "s", "ready": true, "started": true, "restartCount": 0, "state": {"running": {}}});
    check_pod(
        init(vec![running("i", false), waiting("s", "PodInitializing")]),
        "0/2",
        "Init:0/2",
        "0",
    );
    check_pod(
        init(vec![done(), waiting("s", "PodInitializing")]),
        "0/2",
        "Init:1/2",
        "0",
    );
    check_pod(
        init(vec![terminated(
            "i",
            json!({"exitCode": 1, "reason": "Error"}),
        )]),
        "0/2",
        "Init:Error",
        "0",
    );
    check_pod(
        init(vec![waiting("i", "CrashLoopBackOff")]),
        "0/2",
        "Init:CrashLoopBackOff",
        "0",
    );
    check_pod(init(vec![done(), sidecar]), "1/2", "PodInitializing", "0");
}

#[test]
fn empty_wide_cells_of_a_pod_are_none() {
    assert_eq!(
        pods::cells(&pod("Pending", vec![]), now())[4..],
        [
            json!("2m"),
            json!("<none>"),
            json!("<none>"),
            json!("<none>"),
            json!("<none>")
        ]
    );
}

#[test]
fn endpoints_list_ready_addresses_and_count_the_rest() {
    let cell = |subsets: Value| network::endpoints(&json!({"subsets": subsets}), now())[1].clone();
    let addresses = |count: usize| {
        (1..=count)
            .map(|n| json!({"ip": format!("10.0.0.{n}")}))
            .collect::<Vec<_>>()
    };
    let ports = json!([{"port": 80}]);
    assert_eq!(cell(Value::Null), "<none>");
    assert_eq!(
        cell(json!([{"notReadyAddresses": addresses(1), "ports": ports}])),
        ""
    );
    assert_eq!(
        cell(json!([{"addresses": addresses(2), "ports": ports}])),
        "10.0.0.1:80,10.0.0.2:80"
    );
    assert_eq!(
        cell(json!([{"addresses": addresses(5), "ports": ports}])),
        "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more..."
    );
}

#[test]
fn service_lists_its_addresses_and_ports() {
    let cells = |service: Value| network::service(&service, now())[1..5].to_vec();
    let ports = json!([{"port": 80, "nodePort": 30_080}, {"port": 53, "protocol": "UDP"}]);
    let mut service =
        json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.9", "ports": ports}});
    let expected = |external: &str| {
        ["LoadBalancer", "10.96.0.9", external, "80:30080/TCP,53/UDP"].map(|text| json!(text))
    };
    assert_eq!(cells(service.clone()), expected("<pending>"));
    service["status"] = json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}});
    assert_eq!(cells(service), expected("127.0.0.1"));
    let plain = json!({"spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9"}});
    assert_eq!(
        cells(plain),
        ["ClusterIP", "10.96.0.9", "<none>", "<none>"].map(|text| json!(text))
    );
}

#[test]
fn every_kind_has_a_cell_for_each_column() {
    for kind in crate::kinds::KINDS {
        assert_eq!(
            (kind.cells)(&json!({"metadata": {"name": "x"}}), now()).len(),
            kind.columns.len(),
            "{}",
            kind.kind
        );
    }
}

#[test]
fn workloads_count_their_replicas() {
    let object = json!({
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                 "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
        "status": {"replicas": 3, "readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
    });
    assert_eq!(
        workloads::deployment(&object, now())[1..4],
        [json!("1/2"), json!(2), json!(1)]
    );
    assert_eq!(
        workloads::replica_set(&object, now())[1..4],
        [json!(2), json!(3), json!(1)]
    );
    assert_eq!(
        workloads::deployment(&object, now())[5..],
        [json!("c"), json!("i"), json!("app=web")]
    );
}
