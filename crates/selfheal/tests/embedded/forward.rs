//! `kubectl port-forward`, by both of its ways. Needs kubectl.

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

use crate::rig::{Up, kubectl, running_pod};

/// A kubectl that forwards, and the local port that it took.
struct Forward {
    kubectl: Child,
    /// It ends when nobody reads what it prints.
    _printed: Lines<BufReader<ChildStdout>>,
    local: u16,
}

impl Forward {
    /// `web_sockets`: as kubectl does since 1.31, or as it did before.
    async fn start(up: &Up, port: &str, web_sockets: bool) -> Self {
        let mut kubectl = kubectl(up)
            .args(["port-forward", "pod/p", port])
            .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", web_sockets.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut printed = lines(kubectl.stdout.take().unwrap());
        let line = printed
            .next_line()
            .await
            .unwrap()
            .expect("a line for its port");
        let local = line
            .strip_prefix("Forwarding from 127.0.0.1:")
            .and_then(|rest| rest.split(' ').next()?.parse().ok());
        Self {
            kubectl,
            _printed: printed,
            local: local.unwrap_or_else(|| panic!("{line}")),
        }
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.local)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A connection that is not forwarded may be broken off.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    /// What kubectl says of a connection that cannot be made.
    async fn complaint(&mut self) -> String {
        let mut lines = lines(self.kubectl.stderr.take().unwrap());
        lines.next_line().await.unwrap().expect("a line about it")
    }
}

fn lines<T: AsyncRead>(of: T) -> Lines<BufReader<T>> {
    tokio::io::AsyncBufReadExt::lines(BufReader::new(of))
}

async fn pod(up: &Up) {
    // Only its own processes can reach it at this address.
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "image": "localhost/selfheal/numbers-api", "args": ["--listen=127.0.0.1:8080"]}],
    }});
    let pods = running_pod(up, pod).await;
    let log = LogParams {
        follow: true,
        ..LogParams::default()
    };
    let mut lines = pods.log_stream("p", &log).await.unwrap().lines();
    while !lines
        .try_next()
        .await
        .unwrap()
        .expect("it goes on")
        .contains("listening")
    {}
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_forwards_a_port_that_listens_on_the_pods_loopback() {
    let Some(up) = Up::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    pod(&up).await;
    for web_sockets in [true, false] {
        let forward = Forward::start(&up, ":8080", web_sockets).await;
        for _ in 0..3 {
            let answer = forward.get("/healthz").await;
            assert!(
                answer.starts_with("HTTP/1.1 200"),
                "{web_sockets}: {answer}"
            );
        }
        let (one, other) = tokio::join!(forward.get("/rng"), forward.get("/healthz"));
        assert!(one.starts_with("HTTP/1.1 200") && other.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_is_told_why_a_port_cannot_be_forwarded() {
    let Some(up) = Up::start().filter(|_| require(Requirement::Kubectl)) else {
        return;
    };
    pod(&up).await;
    for web_sockets in [true, false] {
        let mut forward = Forward::start(&up, ":81", web_sockets).await;
        assert_eq!(forward.get("/").await, "");
        let complaint = forward.complaint().await;
        let words = "error forwarding port 81 to pod p, uid ";
        assert!(complaint.contains(words), "{complaint}");
        assert!(complaint.contains("Connection refused"), "{complaint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_speaks_in_channels_is_forwarded_as_well() {
    let Some(up) = Up::start() else {
        return;
    };
    pod(&up).await;
    let pods = Api::<Pod>::namespaced(up.client().await, "default");
    let mut forwarder = pods.portforward("p", &[8080, 81]).await.unwrap();
    let refused = forwarder.take_error(81).unwrap();
    let mut stream = forwarder.take_stream(8080).unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let error = refused.await.unwrap();
    assert!(error.contains("error forwarding port 81"), "{error}");
}
