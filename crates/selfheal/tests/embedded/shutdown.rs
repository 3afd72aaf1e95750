//! Processes and files after the exit of a node.

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{DeleteParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::json;

use crate::harness::{TestNode, selfheal, text};

/// Runs twenty pods of the workload and waits until all are ready.
async fn run_twenty_pods(client: Client) {
    let text = include_str!("../../../../k8s/numbers/update/api-with-readiness-and-liveness.yaml");
    let mut deployment: Deployment = serde_saphyr::from_str(text).unwrap();
    let spec = deployment.spec.as_mut().unwrap();
    spec.replicas = Some(20);
    // A terminal, because its output is closed in another way than a pipe.
    spec.template.spec.as_mut().unwrap().containers[0].tty = Some(true);
    let deployments = Api::<Deployment>::namespaced(client, "default");
    deployments
        .create(&PostParams::default(), &deployment)
        .await
        .unwrap();
    let ready = |deployment: Option<&Deployment>| {
        let status = deployment.and_then(|deployment| deployment.status.as_ref());
        status.is_some_and(|status| status.ready_replicas == Some(20))
    };
    await_condition(deployments, "numbers-api", ready)
        .await
        .unwrap();
}

/// Waits until all processes have exited; panics if one still runs after a minute.
fn assert_all_exit(processes: &[Pid]) {
    let timeout = rustix::event::Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    for pid in processes {
        // A process that cannot be opened has exited.
        if let Ok(process) = pidfd_open(*pid, PidfdFlags::empty()) {
            let mut wait = [PollFd::new(&process, PollFlags::IN)];
            let exited = poll(&mut wait, Some(&timeout)).unwrap();
            assert_eq!(exited, 1, "process {pid:?} still runs");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_node_with_twenty_pods_leaves_no_process_and_no_file() {
    let Some(mut node) = TestNode::start() else {
        return;
    };
    run_twenty_pods(node.client().await).await;
    let processes = node.process_tree();
    // The program, its clean-up process, the node, and two processes for each pod: the shim and the container.
    assert!(processes.len() >= 43, "{processes:?}");
    node.process.kill().unwrap();
    node.process.wait().unwrap();
    assert_all_exit(&processes[1..]);
    let files: Vec<_> = std::fs::read_dir(node.dir.path())
        .unwrap()
        .flatten()
        .collect();
    assert!(files.is_empty(), "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn node_after_sigterm_exits_with_0_and_leaves_no_process_and_no_kubeconfig() {
    let Some(mut node) = TestNode::start() else {
        return;
    };
    run_twenty_pods(node.client().await).await;
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(node.kubeconfig()).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let processes = node.process_tree();
    kill_process(processes[0], Signal::TERM).unwrap();
    let status = node.process.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_all_exit(&processes[1..]);
    assert!(!node.kubeconfig().exists());
}

#[test]
fn existing_kubeconfig_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("selfheal.kubeconfig");
    std::fs::write(&file, "of another cluster").unwrap();
    let output = selfheal()
        .args(["up", "--kubeconfig", "selfheal.kubeconfig"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let errors = text(&output.stderr);
    assert!(
        errors.contains("selfheal.kubeconfig") && errors.contains("--kubeconfig"),
        "{errors}"
    );
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "of another cluster"
    );
}

/// A container cannot terminate before its last process is reaped by the parent that started it. On an idle host a command is
/// rarely killed during its start; this test failed in half of its runs beside two busy loops, with `nice -n 19`.
#[tokio::test(flavor = "multi_thread")]
async fn pod_whose_probes_time_out_during_their_start_can_be_deleted() {
    // A timeout of one second takes 10 ms of real time.
    let Some(node) = TestNode::start_with(&["--speed=100"]) else {
        return;
    };
    let client = node.client().await;
    let pods = Api::<Pod>::namespaced(client.clone(), "default");
    let probe = |timeout: u32| {
        let command = json!({"command": ["sleep", "600"]});
        json!({"exec": command, "periodSeconds": 1, "timeoutSeconds": timeout, "failureThreshold": 100_000})
    };
    // Different timeouts, so that some of them expire during the start of a command.
    let container = |i: u32| {
        json!({
            "name": format!("c{i}"), "image": "localhost/selfheal/numbers-api",
            "livenessProbe": probe(2 * i + 1), "readinessProbe": probe(2 * i + 2),
        })
    };
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": ([0, 1, 2, 3].map(container)),
    }});
    let pod = serde_json::from_value(pod).unwrap();
    let pod = pods.create(&PostParams::default(), &pod).await.unwrap();
    let api = Api::<Event>::namespaced(client, "default");
    let mut events = Box::pin(watcher(api, watcher::Config::default()).applied_objects());
    while let Some(event) = events.next().await {
        if event.is_ok_and(|event| {
            event.reason.as_deref() == Some("Unhealthy") && event.count > Some(20)
        }) {
            break;
        }
    }
    pods.delete("p", &DeleteParams::default()).await.unwrap();
    let uid = pod.metadata.uid.unwrap();
    await_condition(pods, "p", conditions::is_deleted(&uid))
        .await
        .unwrap();
}
