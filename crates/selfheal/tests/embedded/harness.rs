//! The program under test, and a node that it runs.

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

/// Part of the error if the kernel allows no namespaces.
const NO_NAMESPACES: &str = "does not let";

/// Command of the program under test.
pub(crate) fn selfheal() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selfheal"));
    command.env_remove("KUBECONFIG");
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Records the test as skipped and returns `true` if `stderr` reports that the kernel allows no namespaces.
pub(crate) fn skip_without_namespaces(stderr: &str) -> bool {
    let skipped = stderr.contains(NO_NAMESPACES);
    if skipped {
        test_support::skip(Requirement::Namespaces, stderr.trim());
    }
    skipped
}

/// Command of the installed kubectl for this node.
pub(crate) fn kubectl(node: &TestNode) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("kubectl");
    command.arg("--kubeconfig").arg(node.kubeconfig());
    command
}

/// Creates the pod, named `p`, and returns the node's pods once it runs.
pub(crate) async fn run_pod(node: &TestNode, pod: serde_json::Value) -> Api<Pod> {
    let pods = Api::<Pod>::namespaced(node.client().await, "default");
    let pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    await_condition(pods.clone(), "p", is_pod_running())
        .await
        .unwrap();
    pods
}

/// Returns `true` if the pod's condition `Ready` is true.
pub(crate) fn is_pod_ready(pod: Option<&Pod>) -> bool {
    let status = pod.and_then(|pod| pod.status.as_ref());
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Repeats `attempt` every 20 ms until it returns `true`: a service's proxies do not report when they apply a change.
pub(crate) async fn poll_until(attempt: impl AsyncFn() -> bool) {
    let mut interval = tokio::time::interval(Duration::from_millis(20));
    while !attempt().await {
        interval.tick().await;
    }
}

/// A running `selfheal up`, and the directory of its kubeconfig.
pub(crate) struct TestNode {
    pub(crate) process: Child,
    pub(crate) dir: tempfile::TempDir,
}

impl Drop for TestNode {
    fn drop(&mut self) {
        // The process has exited already in the tests of its shutdown.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl TestNode {
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut process = selfheal()
            .args(["up", "--kubeconfig", "selfheal.kubeconfig"])
            .args(arguments)
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        if lines
            .map_while(Result::ok)
            .any(|line| line.starts_with("Ctrl-C"))
        {
            return Some(Self { process, dir });
        }
        let output = process.wait_with_output().unwrap();
        assert!(
            skip_without_namespaces(&text(&output.stderr)),
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
        self.dir.path().join("selfheal.kubeconfig")
    }

    /// PIDs of the process and all its descendants.
    pub(crate) fn process_tree(&self) -> Vec<Pid> {
        let mut pids = vec![self.process.id()];
        let mut next = 0;
        while let Some(parent) = pids.get(next) {
            for child in children(*parent) {
                if !pids.contains(&child) {
                    pids.push(child);
                }
            }
            next += 1;
        }
        let pid = |pid: &u32| Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
        pids.iter().map(pid).collect()
    }
}

/// PIDs of the children of all threads of a process.
fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let parse = |list: String| -> Vec<u32> {
        let pids = list.split_whitespace();
        pids.filter_map(|pid| pid.parse().ok()).collect()
    };
    lists.flat_map(parse).collect()
}

/// Reserves the load balancer ports of the exercises among the tests of this host, until the file is dropped. `None`, and the
/// test is recorded as skipped, if another program uses one.
pub(crate) fn reserve_ports() -> Option<File> {
    let file = File::create(std::env::temp_dir().join("selfheal-test-ports.lock")).unwrap();
    file.lock().unwrap();
    test_support::require(Requirement::Ports).then_some(file)
}
