//! Access to a service at a node port, through the API and by an external name.

use k8s_openapi::api::core::v1::Service;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{TestNode, is_pod_ready, poll_until, run_pod};
use crate::script::run_script;

/// Returns a node port that concurrent tests do not use, in all likelihood.
fn unlikely_node_port() -> u16 {
    30_000 + u16::try_from(std::process::id() % 2_767).unwrap()
}

/// Sends a request to a port of the loopback address; returns the status line, empty without a response.
async fn request_status_line(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /rng HTTP/1.0\r\n\r\n").await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response.lines().next().unwrap_or_default().to_owned())
}

async fn get_through_api(client: &Client, path: &str) -> String {
    let path = format!("/api/v1/namespaces/default/{path}");
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    client.request_text(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn service_is_accessible_at_its_node_port_and_through_the_api() {
    let Some(node) = TestNode::start() else {
        return;
    };
    let pods = run_pod(
        &node,
        json!({
            "metadata": {"name": "p", "labels": {"app": "numbers"}},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
                "name": "c", "image": "localhost/selfheal/numbers-api",
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 1},
            }]},
        }),
    )
    .await;
    let client = node.client().await;
    let services = Api::<Service>::namespaced(client.clone(), "default");
    let port = unlikely_node_port();
    for (name, spec) in [
        (
            "numbers",
            json!({"type": "NodePort", "selector": {"app": "numbers"}, "ports": [{"port": 80, "nodePort": port}]}),
        ),
        (
            "other",
            json!({"type": "ExternalName", "externalName": "numbers.default.svc.cluster.local"}),
        ),
    ] {
        let service = json!({"metadata": {"name": name}, "spec": spec});
        let service = serde_json::from_value(service).unwrap();
        services
            .create(&PostParams::default(), &service)
            .await
            .unwrap();
    }
    await_condition(pods.clone(), "p", is_pod_ready)
        .await
        .unwrap();
    // Proxies apply the endpoint later.
    poll_until(async || {
        request_status_line(port)
            .await
            .is_ok_and(|line| line.ends_with("200 OK"))
    })
    .await;
    let get = |host: &str, port: u16| {
        format!(
            "bash -c 'exec 3<>/dev/tcp/{host}/{port}; printf \"GET /rng HTTP/1.0\\r\\n\\r\\n\" >&3; head -1 <&3 | cut -d\" \" -f2'"
        )
    };
    assert_eq!(run_script(&pods, &get("10.244.0.1", port)).await, "200\n");
    assert_eq!(run_script(&pods, &get("other", 80)).await, "200\n");
    for path in [
        "pods/p/proxy/rng",
        "pods/p:80/proxy/rng",
        "services/numbers:80/proxy/rng",
    ] {
        let number = get_through_api(&client, path).await;
        assert!(number.trim().parse::<u32>().is_ok(), "{path}: {number}");
    }
}
