//! `kubectl exec`, `attach` and `run`, over WebSocket and over SPDY. Most need kubectl.

use std::process::Stdio;

use futures::SinkExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{AttachParams, TerminalSize};
use serde_json::{Value, json};
use test_support::{Requirement, require};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::harness::{TestNode, kubectl, run_pod, text};

/// Variable of kubectl that selects WebSockets, the default since 1.31, or SPDY, the only protocol before 1.29.
const WEB_SOCKETS_VARIABLE: &str = "KUBECTL_REMOTE_COMMAND_WEBSOCKETS";

/// Runs a pod `p` whose container `c` has an image and these fields.
async fn run_container(node: &TestNode, mut container: Value) -> Api<Pod> {
    container["name"] = json!("c");
    container["image"] = json!("localhost/selfheal/numbers-api");
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0, "restartPolicy": "Never", "containers": [container],
    }});
    run_pod(node, pod).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_exec_has_streams_and_exit_code_of_the_command() {
    let Some(node) = TestNode::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    run_container(&node, json!({"command": ["sleep", "600"]})).await;
    let script = "tr a-z A-Z; echo and more >&2; exit 7";
    for web_sockets in [true, false] {
        let mut kubectl = kubectl(&node)
            .args(["exec", "-i", "p", "--", "sh", "-c", script])
            .env(WEB_SOCKETS_VARIABLE, web_sockets.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = kubectl.stdin.take().unwrap();
        // Larger than one frame.
        stdin.write_all(&[b'x'; 100_000]).await.unwrap();
        drop(stdin);
        let output = kubectl.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(7), "{web_sockets}");
        assert_eq!(text(&output.stdout), "X".repeat(100_000), "{web_sockets}");
        let errors = text(&output.stderr);
        assert!(errors.starts_with("and more\n"), "{web_sockets}: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_attach_streams_and_leaves_the_container_running() {
    let Some(node) = TestNode::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    let script = "while read -r line; do echo \"read $line\"; done";
    let container = json!({"command": ["sh", "-c", script], "stdin": true});
    run_container(&node, container).await;
    for web_sockets in [true, false] {
        let mut kubectl = kubectl(&node)
            .args(["attach", "-i", "p"])
            .env(WEB_SOCKETS_VARIABLE, web_sockets.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = kubectl.stdin.take().unwrap();
        let mut lines = BufReader::new(kubectl.stdout.take().unwrap()).lines();
        for word in ["one\n", "two\n"] {
            stdin.write_all(word.as_bytes()).await.unwrap();
            let line = lines.next_line().await.unwrap();
            assert_eq!(line, Some(format!("read {}", word.trim())));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn container_with_stdin_once_exits_at_the_end_of_its_input() {
    let Some(node) = TestNode::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    let container = json!({"command": ["cat"], "stdin": true, "stdinOnce": true});
    run_container(&node, container).await;
    let mut kubectl = kubectl(&node)
        .args(["attach", "-i", "p"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = kubectl.stdin.take().unwrap();
    stdin.write_all(b"all of it").await.unwrap();
    drop(stdin);
    let output = kubectl.wait_with_output().await.unwrap();
    assert_eq!(text(&output.stdout), "all of it");
    assert!(output.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_run_prints_the_output_of_the_pod_and_deletes_it() {
    let Some(node) = TestNode::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    let mut kubectl = kubectl(&node)
        .args(["run", "-i", "--rm", "--restart=Never", "--quiet", "p"])
        .args(["--image=localhost/selfheal/numbers-api", "--command", "--"])
        .args(["sh", "-c", "read -r line; echo \"read $line\"; exit 3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = kubectl.stdin.take().unwrap();
    stdin.write_all(b"one\n").await.unwrap();
    let output = kubectl.wait_with_output().await.unwrap();
    assert!(text(&output.stdout).starts_with("read one\n"));
    assert_eq!(output.status.code(), Some(3));
    let pods = Api::<Pod>::namespaced(node.client().await, "default");
    assert!(pods.get_opt("p").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn container_with_a_tty_handles_signals_and_window_size() {
    let Some(node) = TestNode::start() else {
        return;
    };
    let container = json!({"command": ["sh"], "stdin": true, "tty": true, "env": [{"name": "PS1", "value": "$ "}]});
    let pods = run_container(&node, container).await;
    let terminal = AttachParams::interactive_tty();
    let mut attached = pods.attach("p", &terminal).await.unwrap();
    let mut sizes = attached.terminal_size().unwrap();
    let size = TerminalSize {
        width: 120,
        height: 40,
    };
    sizes.send(size).await.unwrap();
    let mut stdin = attached.stdin().unwrap();
    let mut lines = BufReader::new(attached.stdout().unwrap()).lines();
    // A shell runs a trap between two commands, and `wait` returns at a signal.
    let script = "sh -c 'trap \"echo interrupted; exit\" INT; echo started; sleep 600 & wait'";
    let wait_for_size = "sh -c 'print() { stty size | grep 120 && exit; }; trap print WINCH; print; sleep 600 & wait'";
    for (keys, line) in [
        (format!("{script}\n"), "started"),
        // Ctrl-C sends a signal to the foreground process, not to the shell.
        ("\u{3}".to_owned(), "interrupted"),
        // The size may arrive later.
        (format!("{wait_for_size}\n"), "40 120"),
    ] {
        stdin.write_all(keys.as_bytes()).await.unwrap();
        let is_expected = |read: Option<String>| {
            let read = read.expect("the output has not ended");
            read.trim_end().ends_with(line)
        };
        while !is_expected(lines.next_line().await.unwrap()) {}
    }
    stdin.write_all(b"exit\n").await.unwrap();
    while lines.next_line().await.unwrap().is_some() {}
    attached.join().await.unwrap();
}
