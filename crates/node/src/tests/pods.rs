//! Pods with several containers: start and termination order, hooks, back-offs, deadlines.

use super::*;
use container_runtime::scripted::{OnTerm, ScriptedExec, Workload};

fn workloads() -> Workloads {
    let exits_after = |seconds, code| Workload {
        exit_after: Some((Duration::from_secs(seconds), code)),
        ..Workload::default()
    };
    let ignores_term = Workload {
        on_term: OnTerm::Ignore,
        execs: vec![
            ("true".to_owned(), ScriptedExec::Fixed(0, String::new())),
            ("false".to_owned(), ScriptedExec::Fixed(1, "no".to_owned())),
        ],
        ..Workload::default()
    };
    let mut workloads = Workloads::chapter();
    let additional = [
        ("succeeds", exits_after(3, 0)),
        ("fails", exits_after(3, 1)),
        ("ignores-term", ignores_term),
    ];
    let additional = additional.map(|(name, workload)| (name.to_owned(), workload));
    workloads.programs.extend(additional);
    workloads
}

fn container(name: &str, program: &str) -> Value {
    json!({"name": name, "image": "numbers-api", "command": [program]})
}

/// Adds fields to a container.
fn with_fields(mut container: Value, more: &Value) -> Value {
    let fields = container.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    container
}

fn sidecar(name: &str, program: &str) -> Value {
    with_fields(
        container(name, program),
        &json!({"restartPolicy": "Always"}),
    )
}

impl Fixture {
    /// Starts a node with the pod `p`.
    async fn with_pod(spec: Value) -> Self {
        let node = start_node_with(1.0, workloads()).await;
        node.create::<Pod>(json!({"metadata": {"name": "p"}, "spec": spec}))
            .await;
        node
    }

    async fn get(&self) -> Value {
        let pods: Objects<Pod> = Objects::default_namespaced(self.client.clone());
        json!(pods.get("p").await.unwrap())
    }

    /// Advances time by `seconds`. Returns the columns STATUS and READY of the pod's table.
    async fn columns_after(&self, seconds: u64) -> (String, String) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let mut kinds = apiserver::kinds::KINDS.iter();
        let kind = kinds.find(|kind| kind.kind == "Pod").unwrap();
        let cells = (kind.cells)(&self.get().await, self.clock.now());
        let text = |at: usize| cells[at].as_str().unwrap().to_owned();
        (text(2), text(1))
    }

    #[track_caller]
    fn assert_columns(columns: &(String, String), status: &str, ready: &str) {
        assert_eq!((columns.0.as_str(), columns.1.as_str()), (status, ready));
    }
}

/// Returns the time at `pointer` in a container's status, in seconds since the epoch.
fn time_at(pod: &Value, list: &str, name: &str, pointer: &str) -> i64 {
    let statuses = pod["status"][list].as_array().unwrap();
    let status = statuses.iter().find(|status| status["name"] == name);
    let text = status.unwrap().pointer(pointer).and_then(Value::as_str);
    let text = text.unwrap_or_else(|| panic!("{name} has no {pointer}: {pod:#}"));
    text.parse::<Timestamp>().unwrap().as_second()
}

#[tokio::test(start_paused = true)]
async fn init_containers_run_in_order_and_the_next_starts_after_a_sidecar_has_started() {
    let startup = json!({"startupProbe": {"httpGet": {"path": "/healthz", "port": 80}, "initialDelaySeconds": 5, "periodSeconds": 1}});
    let node = Fixture::with_pod(json!({
        "initContainers": [container("first", "succeeds"), with_fields(sidecar("side", "numbers-api"), &startup), container("last", "succeeds")],
        "containers": [container("c", "ignores-term")],
    }))
    .await;
    Fixture::assert_columns(&node.columns_after(1).await, "Init:0/3", "0/2");
    Fixture::assert_columns(&node.columns_after(4).await, "Init:1/3", "0/2");
    Fixture::assert_columns(&node.columns_after(5).await, "Init:2/3", "1/2");
    Fixture::assert_columns(&node.columns_after(4).await, "Running", "2/2");
    let pod = node.get().await;
    let inits = "initContainerStatuses";
    let first = time_at(&pod, inits, "first", "/state/terminated/finishedAt");
    let side = time_at(&pod, inits, "side", "/state/running/startedAt");
    let last = time_at(&pod, inits, "last", "/state/terminated/startedAt");
    assert_eq!(side, first);
    assert!(last >= side + 5, "{pod:#}");
    let is_true = |kind: &str| {
        let conditions = pod["status"]["conditions"].as_array().unwrap();
        conditions
            .iter()
            .any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    assert!(is_true("Initialized") && is_true("Ready"), "{pod:#}");
}

#[tokio::test(start_paused = true)]
async fn failed_init_container_enters_back_off_or_fails_the_pod() {
    let spec = |policy: &str| {
        json!({
            "restartPolicy": policy,
            "initContainers": [container("i", "fails")],
            "containers": [container("c", "ignores-term")],
        })
    };
    let node = Fixture::with_pod(spec("Always")).await;
    Fixture::assert_columns(
        &node.columns_after(10).await,
        "Init:CrashLoopBackOff",
        "0/1",
    );
    let messages = node.events("BackOff").await;
    assert!(messages[0].starts_with("Back-off restarting failed container i in pod p_default"));
    let node = Fixture::with_pod(spec("Never")).await;
    Fixture::assert_columns(&node.columns_after(10).await, "Init:Error", "0/1");
    assert_eq!(node.get().await["status"]["phase"], "Failed");
}

#[tokio::test(start_paused = true)]
async fn sidecars_terminate_after_the_regular_containers_in_reverse_order() {
    let node = Fixture::with_pod(json!({
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 5,
        "initContainers": [sidecar("one", "ignores-term"), sidecar("two", "ignores-term")],
        "containers": [container("c", "succeeds")],
    }))
    .await;
    Fixture::assert_columns(&node.columns_after(2).await, "Running", "3/3");
    Fixture::assert_columns(&node.columns_after(15).await, "Completed", "0/3");
    let pod = node.get().await;
    assert_eq!(pod["status"]["phase"], "Succeeded");
    let finished_at = "/state/terminated/finishedAt";
    let regular = time_at(&pod, "containerStatuses", "c", finished_at);
    let after_regular = ["two", "one"]
        .map(|name| time_at(&pod, "initContainerStatuses", name, finished_at) - regular);
    // The second has the whole grace period. The first waits for it as long, and has the minimum of two seconds.
    assert_eq!(after_regular, [5, 7]);
}

#[tokio::test(start_paused = true)]
async fn sidecar_with_a_failed_probe_restarts_under_the_policy_never() {
    let probe = json!({"livenessProbe": {"httpGet": {"path": "/nowhere", "port": 80}, "periodSeconds": 1, "failureThreshold": 2}});
    let node = Fixture::with_pod(json!({
        "restartPolicy": "Never",
        "initContainers": [with_fields(sidecar("side", "numbers-api"), &probe)],
        "containers": [container("c", "ignores-term")],
    }))
    .await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let pod = node.get().await;
    let side = &pod["status"]["initContainerStatuses"][0];
    assert!(side["restartCount"].as_i64().unwrap() >= 1, "{pod:#}");
    assert_eq!(pod["status"]["phase"], "Running");
    let messages = node.events("Killing").await;
    assert_eq!(messages[0], "Init container side failed liveness probe");
}

#[tokio::test(start_paused = true)]
async fn container_restarts_by_its_own_policy_and_rules() {
    let rules = |code: i32| {
        json!({"restartPolicy": "Never", "restartPolicyRules": [
            {"action": "Restart", "exitCodes": {"operator": "In", "values": [code]}}]})
    };
    let always = json!({"restartPolicy": "Always"});
    for (policy, fields, restarts) in [
        ("Never", rules(1), true),
        ("Always", rules(2), false),
        ("Never", always, true),
    ] {
        let node = Fixture::with_pod(json!({
            "restartPolicy": policy,
            "containers": [with_fields(container("c", "fails"), &fields), container("d", "ignores-term")],
        }))
        .await;
        tokio::time::sleep(Duration::from_secs(8)).await;
        let status = &node.get().await["status"];
        assert_eq!(status["phase"], "Running", "{status:#}");
        let count = &status["containerStatuses"][0]["restartCount"];
        assert_eq!(*count, json!(i32::from(restarts)), "{fields} {status:#}");
    }
}

/// Deletes a pod with these hooks. Returns the seconds until it no longer exists.
async fn deletion_time(lifecycle: Value) -> (u64, Fixture) {
    let node = Fixture::with_pod(json!({
        "terminationGracePeriodSeconds": 10,
        "containers": [with_fields(container("c", "ignores-term"), &json!({"lifecycle": lifecycle}))],
    }))
    .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let pods: Objects<Pod> = Objects::default_namespaced(node.client.clone());
    pods.delete("p", &DeleteParams::default()).await.unwrap();
    for second in 0..100 {
        if pods.get_opt("p").await.unwrap().is_none() {
            return (second, node);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("{:#}", node.get().await);
}

#[tokio::test(start_paused = true)]
async fn pre_stop_hook_counts_towards_the_grace_period() {
    for (hook, expected) in [
        (json!({}), 10..=11),
        (json!({"preStop": {"sleep": {"seconds": 4}}}), 10..=11),
        // The hook uses the whole grace period; the minimum of two seconds remains.
        (json!({"preStop": {"sleep": {"seconds": 10}}}), 12..=13),
        (json!({"preStop": {"exec": {"command": ["true"]}}}), 10..=11),
    ] {
        let (seconds, node) = deletion_time(hook.clone()).await;
        assert!(expected.contains(&seconds), "{hook}: {seconds}");
        assert_eq!(node.events("FailedPreStopHook").await, [""; 0]);
    }
    for hook in [
        json!({"preStop": {"exec": {"command": ["false"]}}}),
        json!({"preStop": {"tcpSocket": {"port": 80}}}),
        json!({"preStop": {"httpGet": {"port": 80}}}),
    ] {
        let (_, node) = deletion_time(hook.clone()).await;
        let messages = node.events("FailedPreStopHook").await;
        assert_eq!(messages, ["PreStopHook failed"], "{hook}");
    }
}

#[tokio::test(start_paused = true)]
async fn container_with_a_failed_post_start_hook_is_killed_and_waits() {
    let hook = json!({"lifecycle": {"postStart": {"exec": {"command": ["false"]}}}});
    let node = Fixture::with_pod(json!({
        "terminationGracePeriodSeconds": 3,
        "containers": [with_fields(container("c", "ignores-term"), &hook)],
    }))
    .await;
    Fixture::assert_columns(&node.columns_after(5).await, "PostStartHookError", "0/1");
    let messages = node.events("FailedPostStartHook").await;
    assert_eq!(messages, ["PostStartHook failed"]);
    assert_eq!(node.events("Killing").await, ["FailedPostStartHook"]);
    let (status, _) = node.columns_after(30).await;
    assert!(
        ["PostStartHookError", "CrashLoopBackOff"].contains(&status.as_str()),
        "{status}"
    );
    assert!(node.events("FailedPostStartHook").await.len() == 1);
}

#[tokio::test(start_paused = true)]
async fn container_is_published_after_its_post_start_hook() {
    let hook = json!({"lifecycle": {"postStart": {"sleep": {"seconds": 6}}}});
    let node = Fixture::with_pod(json!({
        "containers": [with_fields(container("a", "ignores-term"), &hook), container("b", "ignores-term")],
    }))
    .await;
    Fixture::assert_columns(&node.columns_after(3).await, "ContainerCreating", "0/2");
    Fixture::assert_columns(&node.columns_after(5).await, "Running", "2/2");
}

#[tokio::test(start_paused = true)]
async fn missing_image_alternates_between_pull_error_and_back_off() {
    let mut missing = container("c", "ignores-term");
    missing["image"] = json!("example/absent:1");
    let node = Fixture::with_pod(json!({"containers": [missing]})).await;
    // The next sync is after five seconds and the next pull after ten: writing the status causes no earlier sync.
    for (seconds, status) in [
        (1, "ErrImagePull"),
        (3, "ErrImagePull"),
        (2, "ImagePullBackOff"),
        (5, "ErrImagePull"),
        (8, "ErrImagePull"),
        (3, "ImagePullBackOff"),
    ] {
        Fixture::assert_columns(&node.columns_after(seconds).await, status, "0/1");
    }
}

#[tokio::test(start_paused = true)]
async fn pod_past_its_active_deadline_is_stopped_and_fails() {
    let node = Fixture::with_pod(json!({
        "activeDeadlineSeconds": 20,
        "terminationGracePeriodSeconds": 5,
        "containers": [container("c", "ignores-term")],
    }))
    .await;
    Fixture::assert_columns(&node.columns_after(19).await, "Running", "1/1");
    // The container ignores SIGTERM until the grace period has expired.
    Fixture::assert_columns(&node.columns_after(4).await, "Running", "1/1");
    Fixture::assert_columns(&node.columns_after(5).await, "Error", "0/1");
    let status = &node.get().await["status"];
    assert_eq!(status["phase"], "Failed");
    assert_eq!(status["reason"], "DeadlineExceeded");
    let message = "Pod was active on the node longer than the specified deadline";
    assert_eq!(status["message"], message);
    node.columns_after(600).await;
    assert_eq!(
        node.get().await["status"]["containerStatuses"][0]["restartCount"],
        0
    );
}
