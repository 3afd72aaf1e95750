//! The program with real pods: what it prints, and what is left of it. Needs namespaces, and says so where it has none.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers panic as tests do, and a skipped test says so"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tokio::io::AsyncReadExt as _;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{AttachParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions::is_pod_running};
use kube::{Api, Client, Config};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::json;

const NO_NAMESPACES: &str = "does not let";

/// A folder with this program and the workload beside it, as after a build.
fn selfheal() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selfheal"));
    command.env_remove("KUBECONFIG");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// True, and a word about it, where this machine or user may not make namespaces.
fn is_skipped(stderr: &str) -> bool {
    let skipped = stderr.contains(NO_NAMESPACES);
    if skipped {
        eprintln!("SKIPPED: this test needs namespaces: {stderr}");
    }
    skipped
}

fn numbers_api() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_selfheal")).with_file_name("numbers-api");
    assert!(
        program.is_file(),
        "{} is not built: run the tests of the whole workspace",
        program.display()
    );
    format!("--image=selfheal/numbers-api={}", program.display())
}

#[test]
fn both_exercises_hold_on_the_embedded_node() {
    let image = numbers_api();
    let output: Output = selfheal()
        .args(["exercise", "--speed", "4", &image])
        .output()
        .unwrap();
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    if is_skipped(&errors) {
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{printed}{errors}");
    let verdicts = printed.matches("# Verdict on").count();
    assert_eq!(verdicts, 2, "{printed}");
    assert!(
        printed.contains("(embedded node: real processes on this machine"),
        "{printed}"
    );
}

/// A node that serves, and where its kubeconfig is.
struct Up {
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Up {
    fn drop(&mut self) {
        // Ended already in the tests that are about it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Up {
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut process = selfheal()
            .args(["up", &numbers_api()])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        if lines
            .map_while(Result::ok)
            .any(|line| line.starts_with("Ctrl-C"))
        {
            return Some(Self { process, folder });
        }
        let output = process.wait_with_output().unwrap();
        assert!(
            is_skipped(&text(&output.stderr)),
            "{}",
            text(&output.stderr)
        );
        None
    }

    async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        Client::try_from(config).unwrap()
    }

    fn kubeconfig(&self) -> std::path::PathBuf {
        self.folder.path().join("selfheal.kubeconfig")
    }

    /// The process and everything that it has started, however deep.
    fn family(&self) -> Vec<Pid> {
        let mut family = vec![self.process.id()];
        let mut at = 0;
        while let Some(parent) = family.get(at) {
            let children =
                std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
            let threads = std::fs::read_dir(format!("/proc/{parent}/task"))
                .into_iter()
                .flatten()
                .flatten();
            let of_threads = threads
                .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
            for list in children.into_iter().chain(of_threads) {
                let found = list.split_whitespace().filter_map(|pid| pid.parse().ok());
                for pid in found {
                    if !family.contains(&pid) {
                        family.push(pid);
                    }
                }
            }
            at += 1;
        }
        let pid = |pid: &u32| Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
        family.iter().map(pid).collect()
    }
}

/// Twenty pods of the workload, ready.
async fn twenty_pods(client: Client) {
    let text = include_str!("../../../k8s/numbers/update/api-with-readiness-and-liveness.yaml");
    let mut deployment: Deployment = serde_saphyr::from_str(text).unwrap();
    deployment.spec.as_mut().unwrap().replicas = Some(20);
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

/// Runs a script in the pod's container and returns what it prints.
async fn script(pods: &Api<Pod>, text: &str) -> String {
    let command = ["sh", "-c", text];
    let streams = AttachParams::default().stderr(false);
    let mut attached = pods.exec("p", command, &streams).await.unwrap();
    let mut printed = String::new();
    let mut stdout = attached.stdout().unwrap();
    stdout.read_to_string(&mut printed).await.unwrap();
    attached.join().await.unwrap();
    printed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_sees_its_volumes_and_has_no_rights_over_the_machine() {
    let Some(up) = Up::start() else {
        return;
    };
    let client = up.client().await;
    let made = PostParams::default();
    let map = json!({"metadata": {"name": "m"}, "data": {"key": "from a map"}});
    let maps = Api::<ConfigMap>::namespaced(client.clone(), "default");
    maps.create(&made, &serde_json::from_value(map).unwrap())
        .await
        .unwrap();
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{
            "name": "c", "image": "selfheal/numbers-api", "command": ["sleep", "600"],
            "volumeMounts": [
                {"name": "map", "mountPath": "/map"},
                {"name": "small", "mountPath": "/small"},
                {"name": "small", "mountPath": "/part", "subPath": "a/b"},
            ],
        }],
        "volumes": [
            {"name": "map", "configMap": {"name": "m", "defaultMode": 0o400}},
            {"name": "small", "emptyDir": {"sizeLimit": "1Mi"}},
        ],
    }});
    let pods = Api::<Pod>::namespaced(client, "default");
    pods.create(&made, &serde_json::from_value(pod).unwrap())
        .await
        .unwrap();
    await_condition(pods.clone(), "p", is_pod_running())
        .await
        .unwrap();
    for (text, expected) in [
        ("cat /map/key", "from a map"),
        ("stat -Lc %a /map/key", "400\n"),
        ("touch /map/x 2>/dev/null || echo refused", "refused\n"),
        ("echo here > /part/file; cat /small/a/b/file", "here\n"),
        (
            "head -c 2000000 /dev/zero > /small/big 2>/dev/null || echo full",
            "full\n",
        ),
        ("touch /usr/x 2>/dev/null || echo refused", "refused\n"),
        (
            "echo x 2>/dev/null > /proc/sys/kernel/core_pattern || echo refused",
            "refused\n",
        ),
        (
            "mount -t tmpfs x /tmp 2>/dev/null || echo refused",
            "refused\n",
        ),
        (
            "test -e /dev/mem || echo none; ls /sys | wc -l",
            "none\n0\n",
        ),
        (
            "echo $$; ls -d /proc/[0-9]* | wc -l | xargs test 10 -gt && echo few",
            "",
        ),
    ] {
        let printed = script(&pods, text).await;
        if expected.is_empty() {
            // The container's own processes and no other.
            assert!(printed.ends_with("few\n"), "{text}: {printed}");
        } else {
            assert_eq!(printed, expected, "{text}");
        }
    }
    let bounding = script(&pods, "grep CapBnd /proc/self/status").await;
    let rights = bounding.split_whitespace().last().unwrap();
    let rights = u64::from_str_radix(rights, 16).unwrap();
    const SYS_ADMIN: u64 = 1 << 21;
    assert_eq!(rights & SYS_ADMIN, 0, "{bounding}");
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
