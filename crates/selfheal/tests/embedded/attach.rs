//! `kubectl exec`, `attach` and `run`, over WebSocket and over SPDY. Most need kubectl.

use std::process::Stdio;

use futures::SinkExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{AttachParams, TerminalSize};
use serde_json::{Value, json};
use test_support::{Requirement, require};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::rig::{Up, kubectl, running_pod, text};

/// kubectl's own switch: WebSockets since 1.31, and SPDY alone before 1.29.
const WEB_SOCKETS: &str = "KUBECTL_REMOTE_COMMAND_WEBSOCKETS";

/// A pod `p` that runs, whose container `c` has this beside its image.
async fn pod(up: &Up, mut container: Value) -> Api<Pod> {
    container["name"] = json!("c");
    container["image"] = json!("localhost/selfheal/numbers-api");
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0, "restartPolicy": "Never", "containers": [container],
    }});
    running_pod(up, pod).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_runs_a_command_that_reads_prints_and_fails() {
    let Some(up) = Up::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    pod(&up, json!({"command": ["sleep", "600"]})).await;
    let script = "tr a-z A-Z; echo and more >&2; exit 7";
    for web_sockets in [true, false] {
        let mut kubectl = kubectl(&up)
            .args(["exec", "-i", "p", "--", "sh", "-c", script])
            .env(WEB_SOCKETS, web_sockets.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = kubectl.stdin.take().unwrap();
        // More than a frame carries.
        stdin.write_all(&[b'x'; 100_000]).await.unwrap();
        drop(stdin);
        let output = kubectl.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(7), "{web_sockets}");
        assert_eq!(text(&output.stdout), "X".repeat(100_000), "{web_sockets}");
        let said = text(&output.stderr);
        assert!(said.starts_with("and more\n"), "{web_sockets}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_attaches_to_a_container_and_leaves_it_running() {
    let Some(up) = Up::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    let script = "while read -r line; do echo \"heard $line\"; done";
    let container = json!({"command": ["sh", "-c", script], "stdin": true});
    pod(&up, container).await;
    for web_sockets in [true, false] {
        let mut kubectl = kubectl(&up)
            .args(["attach", "-i", "p"])
            .env(WEB_SOCKETS, web_sockets.to_string())
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
            let heard = lines.next_line().await.unwrap();
            assert_eq!(heard, Some(format!("heard {}", word.trim())));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_is_given_once_ends_a_container_that_reads_it() {
    let Some(up) = Up::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    let container = json!({"command": ["cat"], "stdin": true, "stdinOnce": true});
    pod(&up, container).await;
    let mut kubectl = kubectl(&up)
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
async fn kubectl_run_is_given_what_a_pod_prints_and_takes_it_away() {
    let Some(up) = Up::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    let mut kubectl = kubectl(&up)
        .args(["run", "-i", "--rm", "--restart=Never", "--quiet", "p"])
        .args(["--image=localhost/selfheal/numbers-api", "--command", "--"])
        .args(["sh", "-c", "read -r line; echo \"heard $line\"; exit 3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = kubectl.stdin.take().unwrap();
    stdin.write_all(b"one\n").await.unwrap();
    let output = kubectl.wait_with_output().await.unwrap();
    assert!(text(&output.stdout).starts_with("heard one\n"));
    assert_eq!(output.status.code(), Some(3));
    let pods = Api::<Pod>::namespaced(up.client().await, "default");
    assert!(pods.get_opt("p").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_with_a_terminal_is_used_as_one() {
    let Some(up) = Up::start() else {
        return;
    };
    let container = json!({"command": ["sh"], "stdin": true, "tty": true, "env": [{"name": "PS1", "value": "$ "}]});
    let pods = pod(&up, container).await;
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
    let script = "sh -c 'trap \"echo interrupted; exit\" INT; echo begun; sleep 600 & wait'";
    let sized =
        "sh -c 'show() { stty size | grep 120 && exit; }; trap show WINCH; show; sleep 600 & wait'";
    for (keys, line) in [
        (format!("{script}\n"), "begun"),
        // Ctrl-C means what runs in the foreground, and not the shell.
        ("\u{3}".to_owned(), "interrupted"),
        // The size may arrive a moment later.
        (format!("{sized}\n"), "40 120"),
    ] {
        stdin.write_all(keys.as_bytes()).await.unwrap();
        let is_there = |seen: Option<String>| seen.expect("it goes on").trim_end().ends_with(line);
        while !is_there(lines.next_line().await.unwrap()) {}
    }
    stdin.write_all(b"exit\n").await.unwrap();
    while lines.next_line().await.unwrap().is_some() {}
    attached.join().await.unwrap();
}
