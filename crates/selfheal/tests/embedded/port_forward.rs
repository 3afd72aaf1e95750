//! `kubectl port-forward`, over WebSocket and over SPDY. Most tests need kubectl.

use std::process::Stdio;

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use serde_json::json;
use test_support::{Requirement, require};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout};

use crate::harness::{TestNode, kubectl, run_pod};

/// Protocol of `kubectl port-forward`.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    /// Default since kubectl 1.31.
    WebSocket,
    Spdy,
}

impl Protocol {
    /// Value of the variable `KUBECTL_PORT_FORWARD_WEBSOCKETS`.
    const fn uses_web_sockets(self) -> &'static str {
        match self {
            Self::WebSocket => "true",
            Self::Spdy => "false",
        }
    }
}

/// A running `kubectl port-forward` and its local port.
struct Forward {
    kubectl: Child,
    /// kubectl exits when its output is closed.
    _output: Lines<BufReader<ChildStdout>>,
    local: u16,
}

impl Forward {
    async fn start(node: &TestNode, port: &str, protocol: Protocol) -> Self {
        let mut kubectl = kubectl(node)
            .args(["port-forward", "pod/p", port])
            .env(
                "KUBECTL_PORT_FORWARD_WEBSOCKETS",
                protocol.uses_web_sockets(),
            )
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = lines(kubectl.stdout.take().unwrap());
        let line = output
            .next_line()
            .await
            .unwrap()
            .expect("a line with the local port");
        let local = line
            .strip_prefix("Forwarding from 127.0.0.1:")
            .and_then(|rest| rest.split(' ').next()?.parse().ok());
        Self {
            kubectl,
            _output: output,
            local: local.unwrap_or_else(|| panic!("{line}")),
        }
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.local)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        // A connection that is not forwarded may be closed with an error.
        let _ = stream.read_to_string(&mut response).await;
        response
    }

    /// Error of kubectl about a connection that it cannot forward.
    async fn read_error(&mut self) -> String {
        let mut lines = lines(self.kubectl.stderr.take().unwrap());
        lines
            .next_line()
            .await
            .unwrap()
            .expect("a line with the error")
    }
}

fn lines<T: AsyncRead>(stream: T) -> Lines<BufReader<T>> {
    tokio::io::AsyncBufReadExt::lines(BufReader::new(stream))
}

/// Runs a pod that listens on its own loopback address only, and waits until it does.
async fn run_listening_pod(node: &TestNode) {
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "image": "localhost/selfheal/numbers-api", "args": ["--listen=127.0.0.1:8080"]}],
    }});
    let pods = run_pod(node, pod).await;
    let log = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let mut lines = pods.log_stream("p", &log).await.unwrap().lines();
    while !lines
        .try_next()
        .await
        .unwrap()
        .expect("the log has not ended")
        .contains("listening")
    {}
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_forwards_to_a_port_on_the_loopback_address_of_the_pod() {
    let Some(node) = TestNode::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    run_listening_pod(&node).await;
    for protocol in [Protocol::WebSocket, Protocol::Spdy] {
        let forward = Forward::start(&node, ":8080", protocol).await;
        for _ in 0..3 {
            let response = forward.get("/healthz").await;
            assert!(
                response.starts_with("HTTP/1.1 200"),
                "{protocol:?}: {response}"
            );
        }
        let (first, second) = tokio::join!(forward.get("/rng"), forward.get("/healthz"));
        assert!(first.starts_with("HTTP/1.1 200") && second.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_prints_the_error_of_a_port_that_cannot_be_forwarded() {
    let Some(node) = TestNode::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    run_listening_pod(&node).await;
    for protocol in [Protocol::WebSocket, Protocol::Spdy] {
        let mut forward = Forward::start(&node, ":81", protocol).await;
        assert_eq!(forward.get("/").await, "");
        let error = forward.read_error().await;
        let expected = "error forwarding port 81 to pod p, uid ";
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("Connection refused"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_with_channels_is_forwarded() {
    let Some(node) = TestNode::start() else {
        return;
    };
    run_listening_pod(&node).await;
    let pods = Api::<Pod>::namespaced(node.client().await, "default");
    let mut forwarder = pods.portforward("p", &[8080, 81]).await.unwrap();
    let port_error = forwarder.take_error(81).unwrap();
    let mut stream = forwarder.take_stream(8080).unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let error = port_error.await.unwrap();
    assert!(error.contains("error forwarding port 81"), "{error}");
}
