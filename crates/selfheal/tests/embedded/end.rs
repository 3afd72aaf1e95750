//! What is left of a node that has ended, and what it does not touch.

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

use crate::rig::{Up, selfheal, text};

/// Twenty pods of the workload, ready.
async fn twenty_pods(client: Client) {
    let text = include_str!("../../../../k8s/numbers/update/api-with-readiness-and-liveness.yaml");
    let mut deployment: Deployment = serde_saphyr::from_str(text).unwrap();
    let spec = deployment.spec.as_mut().unwrap();
    spec.replicas = Some(20);
    // What is read of a terminal does not end as pipes do.
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

/// Returns once every process has ended; panics if one is still there after a time in which all should be gone.
fn all_end(family: &[Pid]) {
    let limit = rustix::event::Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    for pid in family {
        // One that cannot be opened has ended.
        if let Ok(process) = pidfd_open(*pid, PidfdFlags::empty()) {
            let mut wait = [PollFd::new(&process, PollFlags::IN)];
            let ended = poll(&mut wait, Some(&limit)).unwrap();
            assert_eq!(ended, 1, "process {pid:?} is left");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_node_with_twenty_pods_that_is_killed() {
    let Some(mut up) = Up::start() else {
        return;
    };
    twenty_pods(up.client().await).await;
    let family = up.family();
    // The program and its janitor, the node, and for each pod the holder and the container.
    assert!(family.len() >= 43, "{family:?}");
    up.process.kill().unwrap();
    up.process.wait().unwrap();
    all_end(&family[1..]);
    let left: Vec<_> = std::fs::read_dir(up.folder.path())
        .unwrap()
        .flatten()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_asked_to_end_takes_everything_with_it() {
    let Some(mut up) = Up::start() else {
        return;
    };
    twenty_pods(up.client().await).await;
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(up.kubeconfig()).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let family = up.family();
    kill_process(family[0], Signal::TERM).unwrap();
    let status = up.process.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    all_end(&family[1..]);
    assert!(!up.kubeconfig().exists());
}

#[test]
fn a_kubeconfig_that_is_there_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("selfheal.kubeconfig");
    std::fs::write(&file, "somebody's").unwrap();
    let output = selfheal()
        .args(["up", "--kubeconfig", "selfheal.kubeconfig"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let errors = text(&output.stderr);
    assert!(
        errors.contains("selfheal.kubeconfig") && errors.contains("--kubeconfig"),
        "{errors}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "somebody's");
}

/// A container does not end before its last process was waited for, by whoever began it. On a machine with nothing else to do a
/// command is hardly ever ended while it begins; this failed every other time beside two busy loops, as `nice -n 19`.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_whose_probes_time_out_at_once_ends_when_it_is_deleted() {
    // A second of the probe's takes a hundredth of one.
    let Some(up) = Up::start_with(&["--speed=100"]) else {
        return;
    };
    let client = up.client().await;
    let pods = Api::<Pod>::namespaced(client.clone(), "default");
    let probe = |timeout: u32| {
        let command = json!({"command": ["sleep", "600"]});
        json!({"exec": command, "periodSeconds": 1, "timeoutSeconds": timeout, "failureThreshold": 100_000})
    };
    // However long a command takes to begin here, some are ended just then.
    let container = |at: u32| {
        json!({
            "name": format!("c{at}"), "image": "localhost/selfheal/numbers-api",
            "livenessProbe": probe(2 * at + 1), "readinessProbe": probe(2 * at + 2),
        })
    };
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": ([0, 1, 2, 3].map(container)),
    }});
    let pod = serde_json::from_value(pod).unwrap();
    let pod = pods.create(&PostParams::default(), &pod).await.unwrap();
    let events = Api::<Event>::namespaced(client, "default");
    let mut seen = Box::pin(watcher(events, watcher::Config::default()).applied_objects());
    while let Some(event) = seen.next().await {
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
