//! The program under test, and a node of it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions::is_pod_running};
use kube::{Api, Client, Config};
use rustix::process::Pid;
use test_support::Requirement;

pub(crate) const NO_NAMESPACES: &str = "does not let";

/// A folder with this program and the workload beside it, as after a build.
pub(crate) fn selfheal() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selfheal"));
    command.env_remove("KUBECONFIG");
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns `true`, and records the test as skipped, if `stderr` reports that the kernel allows no namespaces.
pub(crate) fn skips_without_namespaces(stderr: &str) -> bool {
    let skipped = stderr.contains(NO_NAMESPACES);
    if skipped {
        test_support::skip(Requirement::Namespaces, stderr.trim());
    }
    skipped
}

/// The kubectl that there is, for this node.
pub(crate) fn kubectl(up: &Up) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("kubectl");
    command.arg("--kubeconfig").arg(up.kubeconfig());
    command
}

/// The pods of a node on which this one, `p`, runs.
pub(crate) async fn running_pod(up: &Up, pod: serde_json::Value) -> Api<Pod> {
    let pods = Api::<Pod>::namespaced(up.client().await, "default");
    let pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    await_condition(pods.clone(), "p", is_pod_running())
        .await
        .unwrap();
    pods
}

/// Returns `true` if the pod's condition `Ready` is.
pub(crate) fn is_pod_ready(pod: Option<&Pod>) -> bool {
    let status = pod.and_then(|pod| pod.status.as_ref());
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Repeats `attempt` every 20 ms until it succeeds: for a service's proxies, which report no progress.
pub(crate) async fn poll_until(attempt: impl AsyncFn() -> bool) {
    let mut interval = tokio::time::interval(Duration::from_millis(20));
    while !attempt().await {
        interval.tick().await;
    }
}

/// A node that serves, and where its kubeconfig is.
pub(crate) struct Up {
    pub(crate) process: Child,
    pub(crate) folder: tempfile::TempDir,
}

impl Drop for Up {
    fn drop(&mut self) {
        // Ended already in the tests that are about it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Up {
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut process = selfheal()
            .args(["up", "--kubeconfig", "selfheal.kubeconfig"])
            .args(arguments)
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
            skips_without_namespaces(&text(&output.stderr)),
            "{}",
            text(&output.stderr)
        );
        None
    }

    pub(crate) async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        Client::try_from(config).unwrap()
    }

    pub(crate) fn kubeconfig(&self) -> std::path::PathBuf {
        self.folder.path().join("selfheal.kubeconfig")
    }

    /// The process and everything that it has started, however deep.
    pub(crate) fn family(&self) -> Vec<Pid> {
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

/// Reserves the load balancer ports of the exercises among the tests of this host, until the file is dropped. `None`, and the
/// test is recorded as skipped, if another program uses one.
pub(crate) fn reserve_ports() -> Option<File> {
    let file = File::create(std::env::temp_dir().join("selfheal-test-ports.lock")).unwrap();
    file.lock().unwrap();
    test_support::require(Requirement::Ports).then_some(file)
}
