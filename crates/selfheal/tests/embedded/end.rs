//! What is left of a node that has ended, and what it does not touch.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

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
        .arg("up")
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
