//! Pods of several containers: their order, their ends, their hooks.

use super::*;
use container_runtime::scripted::{OnTerm, ScriptedExec, Workload};

fn workloads() -> Workloads {
    let ends = |seconds, code| Workload {
        exit_after: Some((Duration::from_secs(seconds), code)),
        ..Workload::default()
    };
    let stubborn = Workload {
        on_term: OnTerm::Ignore,
        execs: vec![
            ("true".to_owned(), ScriptedExec::Fixed(0, String::new())),
            ("false".to_owned(), ScriptedExec::Fixed(1, "no".to_owned())),
        ],
        ..Workload::default()
    };
    let mut known = Workloads::chapter();
    let more = [
        ("done", ends(3, 0)),
        ("broken", ends(3, 1)),
        ("stubborn", stubborn),
    ];
    let more = more.map(|(name, workload)| (name.to_owned(), workload));
    known.programs.extend(more);
    known
}

fn container(name: &str, program: &str) -> Value {
    json!({"name": name, "image": "numbers-api", "command": [program]})
}

/// A container with more fields.
fn with(mut container: Value, more: &Value) -> Value {
    let fields = container.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    container
}

fn sidecar(name: &str, program: &str) -> Value {
    with(
        container(name, program),
        &json!({"restartPolicy": "Always"}),
    )
}

impl Fixture {
    async fn pod(spec: Value) -> Self {
        let node = node_with(1.0, workloads()).await;
        node.create::<Pod>(json!({"metadata": {"name": "p"}, "spec": spec}))
            .await;
        node
    }

    async fn get(&self) -> Value {
        let pods: Objects<Pod> = Objects::default_namespaced(self.client.clone());
        json!(pods.get("p").await.unwrap())
    }

    /// The table's STATUS and READY of the pod after some time.
    async fn shown(&self, after: u64) -> (String, String) {
        tokio::time::sleep(Duration::from_secs(after)).await;
        let mut kinds = apiserver::kinds::KINDS.iter();
        let kind = kinds.find(|kind| kind.kind == "Pod").unwrap();
        let cells = (kind.cells)(&self.get().await, self.clock.now());
        let text = |at: usize| cells[at].as_str().unwrap().to_owned();
        (text(2), text(1))
    }

    #[track_caller]
    fn is(found: &(String, String), status: &str, ready: &str) {
        assert_eq!((found.0.as_str(), found.1.as_str()), (status, ready));
    }
}

/// When a container of the pod began or ended, in seconds.
fn at(pod: &Value, list: &str, name: &str, pointer: &str) -> i64 {
    let statuses = pod["status"][list].as_array().unwrap();
    let status = statuses.iter().find(|status| status["name"] == name);
    let text = status.unwrap().pointer(pointer).and_then(Value::as_str);
    let text = text.unwrap_or_else(|| panic!("{name} has no {pointer}: {pod:#}"));
    text.parse::<Timestamp>().unwrap().as_second()
}

#[tokio::test(start_paused = true)]
async fn init_containers_come_one_after_the_other_and_a_sidecar_once_it_has_started() {
    let startup = json!({"startupProbe": {"httpGet": {"path": "/healthz", "port": 80}, "initialDelaySeconds": 5, "periodSeconds": 1}});
    let node = Fixture::pod(json!({
        "initContainers": [container("first", "done"), with(sidecar("side", "numbers-api"), &startup), container("last", "done")],
        "containers": [container("c", "stubborn")],
    }))
    .await;
    Fixture::is(&node.shown(1).await, "Init:0/3", "0/2");
    Fixture::is(&node.shown(4).await, "Init:1/3", "0/2");
    Fixture::is(&node.shown(5).await, "Init:2/3", "1/2");
    Fixture::is(&node.shown(4).await, "Running", "2/2");
    let pod = node.get().await;
    let inits = "initContainerStatuses";
    let first = at(&pod, inits, "first", "/state/terminated/finishedAt");
    let side = at(&pod, inits, "side", "/state/running/startedAt");
    let last = at(&pod, inits, "last", "/state/terminated/startedAt");
    assert_eq!(side, first);
    assert!(last >= side + 5, "{pod:#}");
    let kinds = |kind: &str| {
        let conditions = pod["status"]["conditions"].as_array().unwrap();
        conditions
            .iter()
            .any(|one| one["type"] == kind && one["status"] == "True")
    };
    assert!(kinds("Initialized") && kinds("Ready"), "{pod:#}");
}

#[tokio::test(start_paused = true)]
async fn an_init_container_that_fails_is_held_back_or_fails_the_pod() {
    let spec = |policy: &str| {
        json!({
            "restartPolicy": policy,
            "initContainers": [container("i", "broken")],
            "containers": [container("c", "stubborn")],
        })
    };
    let node = Fixture::pod(spec("Always")).await;
    Fixture::is(&node.shown(10).await, "Init:CrashLoopBackOff", "0/1");
    let told = node.events("BackOff").await;
    assert!(told[0].starts_with("Back-off restarting failed container i in pod p_default"));
    let node = Fixture::pod(spec("Never")).await;
    Fixture::is(&node.shown(10).await, "Init:Error", "0/1");
    assert_eq!(node.get().await["status"]["phase"], "Failed");
}

#[tokio::test(start_paused = true)]
async fn sidecars_end_after_the_pods_own_containers_and_in_reverse_order() {
    let node = Fixture::pod(json!({
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 5,
        "initContainers": [sidecar("one", "stubborn"), sidecar("two", "stubborn")],
        "containers": [container("c", "done")],
    }))
    .await;
    Fixture::is(&node.shown(2).await, "Running", "3/3");
    Fixture::is(&node.shown(15).await, "Completed", "0/3");
    let pod = node.get().await;
    assert_eq!(pod["status"]["phase"], "Succeeded");
    let end = "/state/terminated/finishedAt";
    let own = at(&pod, "containerStatuses", "c", end);
    let ends = ["two", "one"].map(|name| at(&pod, "initContainerStatuses", name, end) - own);
    // The second has the whole grace; the first waits as long for it, and has two seconds in any case.
    assert_eq!(ends, [5, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_is_restarted_under_any_policy_and_its_failed_probe_is_told() {
    let probe = json!({"livenessProbe": {"httpGet": {"path": "/nowhere", "port": 80}, "periodSeconds": 1, "failureThreshold": 2}});
    let node = Fixture::pod(json!({
        "restartPolicy": "Never",
        "initContainers": [with(sidecar("side", "numbers-api"), &probe)],
        "containers": [container("c", "stubborn")],
    }))
    .await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let pod = node.get().await;
    let side = &pod["status"]["initContainerStatuses"][0];
    assert!(side["restartCount"].as_i64().unwrap() >= 1, "{pod:#}");
    assert_eq!(pod["status"]["phase"], "Running");
    let told = node.events("Killing").await;
    assert_eq!(told[0], "Init container side failed liveness probe");
}

/// How long a deleted pod is there.
async fn deletion(lifecycle: Value) -> (u64, Fixture) {
    let node = Fixture::pod(json!({
        "terminationGracePeriodSeconds": 10,
        "containers": [with(container("c", "stubborn"), &json!({"lifecycle": lifecycle}))],
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
async fn a_hook_before_the_end_takes_its_time_from_the_grace() {
    for (hook, seconds) in [
        (json!({}), 10..=11),
        (json!({"preStop": {"sleep": {"seconds": 4}}}), 10..=11),
        // It has used all of it: what is left is the least that a container has.
        (json!({"preStop": {"sleep": {"seconds": 10}}}), 12..=13),
        (json!({"preStop": {"exec": {"command": ["true"]}}}), 10..=11),
    ] {
        let (took, node) = deletion(hook.clone()).await;
        assert!(seconds.contains(&took), "{hook}: {took}");
        assert_eq!(node.events("FailedPreStopHook").await, [""; 0]);
    }
    for hook in [
        json!({"preStop": {"exec": {"command": ["false"]}}}),
        json!({"preStop": {"tcpSocket": {"port": 80}}}),
        json!({"preStop": {"httpGet": {"port": 80}}}),
    ] {
        let (_, node) = deletion(hook.clone()).await;
        let told = node.events("FailedPreStopHook").await;
        assert_eq!(told, ["PreStopHook failed"], "{hook}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_first_hook_fails_is_ended_and_held_back() {
    let hook = json!({"lifecycle": {"postStart": {"exec": {"command": ["false"]}}}});
    let node = Fixture::pod(json!({
        "terminationGracePeriodSeconds": 3,
        "containers": [with(container("c", "stubborn"), &hook)],
    }))
    .await;
    Fixture::is(&node.shown(5).await, "PostStartHookError", "0/1");
    let told = node.events("FailedPostStartHook").await;
    assert_eq!(told, ["PostStartHook failed"]);
    assert_eq!(node.events("Killing").await, ["FailedPostStartHook"]);
    let (status, _) = node.shown(30).await;
    assert!(
        ["PostStartHookError", "CrashLoopBackOff"].contains(&status.as_str()),
        "{status}"
    );
    assert!(node.events("FailedPostStartHook").await.len() == 1);
}

#[tokio::test(start_paused = true)]
async fn a_container_is_not_published_before_its_first_hook_is_over() {
    let hook = json!({"lifecycle": {"postStart": {"sleep": {"seconds": 6}}}});
    let node = Fixture::pod(json!({
        "containers": [with(container("a", "stubborn"), &hook), container("b", "stubborn")],
    }))
    .await;
    Fixture::is(&node.shown(3).await, "ContainerCreating", "0/2");
    Fixture::is(&node.shown(5).await, "Running", "2/2");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_had_is_told_of_then_waited_for_then_asked_for_again() {
    let mut missing = container("c", "stubborn");
    missing["image"] = json!("nobody/knows:it");
    let node = Fixture::pod(json!({"containers": [missing]})).await;
    // Looked at again after five seconds, and asked for again after ten: the pod's own status is no reason to look earlier.
    for (after, status) in [
        (1, "ErrImagePull"),
        (3, "ErrImagePull"),
        (2, "ImagePullBackOff"),
        (5, "ErrImagePull"),
        (8, "ErrImagePull"),
        (3, "ImagePullBackOff"),
    ] {
        Fixture::is(&node.shown(after).await, status, "0/1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_here_for_too_long_is_ended_and_has_failed() {
    let node = Fixture::pod(json!({
        "activeDeadlineSeconds": 20,
        "terminationGracePeriodSeconds": 5,
        "containers": [container("c", "stubborn")],
    }))
    .await;
    Fixture::is(&node.shown(19).await, "Running", "1/1");
    // It does not end by itself.
    Fixture::is(&node.shown(4).await, "Running", "1/1");
    Fixture::is(&node.shown(5).await, "Error", "0/1");
    let status = &node.get().await["status"];
    assert_eq!(status["phase"], "Failed");
    assert_eq!(status["reason"], "DeadlineExceeded");
    let message = "Pod was active on the node longer than the specified deadline";
    assert_eq!(status["message"], message);
    node.shown(600).await;
    assert_eq!(
        node.get().await["status"]["containerStatuses"][0]["restartCount"],
        0
    );
}
