//! The maximum number of pods: in the node's status, in the scheduler, and in the kubelet's admission.

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt as _;

use super::*;

fn pod(name: &str, node: Option<&str>) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "nodeName": node,
        "containers": [{"name": "c", "image": "numbers-api"}],
    }})
}

async fn advance_5_seconds() {
    tokio::time::sleep(Duration::from_secs(5)).await;
}

async fn status(node: &Fixture, name: &str) -> Value {
    let pods: Objects<Pod> = Objects::default_namespaced(node.client.clone());
    json!(pods.get(name).await.unwrap().status)
}

#[tokio::test(start_paused = true)]
async fn pod_above_the_maximum_waits_until_another_is_deleted() {
    let node = start_node_with_max_pods(1.0, Workloads::chapter(), 2).await;
    for name in ["a", "b", "c"] {
        node.create::<Pod>(pod(name, None)).await;
    }
    advance_5_seconds().await;
    let nodes: Objects<Node> = Objects::all(node.client.clone());
    let status = nodes.get("node").await.unwrap().status.unwrap();
    for resources in [status.capacity, status.allocatable] {
        assert_eq!(resources.unwrap()["pods"].0, "2");
    }
    assert_eq!(
        node.events("FailedScheduling").await,
        ["0/1 nodes are available: 1 Too many pods."]
    );
    let waiting = |pods: Vec<Pod>| {
        let waiting = pods.into_iter().filter(|pod| {
            let spec = pod.spec.as_ref().unwrap();
            spec.node_name.is_none()
        });
        waiting.map(|pod| pod.name_any()).collect::<Vec<_>>()
    };
    let pods = node.pods().await;
    let running = pods
        .iter()
        .find(|pod| pod.spec.as_ref().unwrap().node_name.is_some());
    let running = running.unwrap().name_any();
    assert_eq!(waiting(pods).len(), 1);
    let pods: Objects<Pod> = Objects::default_namespaced(node.client.clone());
    pods.delete(&running, &DeleteParams::default())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(waiting(node.pods().await), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn pod_bound_to_a_full_node_is_rejected_by_the_kubelet() {
    let node = start_node_with_max_pods(1.0, Workloads::chapter(), 1).await;
    node.create::<Pod>(pod("a", None)).await;
    advance_5_seconds().await;
    node.create::<Pod>(pod("b", Some("node"))).await;
    advance_5_seconds().await;
    let status_of_b = status(&node, "b").await;
    let reason = "Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1";
    assert_eq!(status_of_b["phase"], "Failed");
    assert_eq!(status_of_b["reason"], "OutOfpods");
    assert_eq!(
        status_of_b["message"],
        format!("Pod was rejected: {reason}")
    );
    assert_eq!(node.events("OutOfpods").await, [reason]);
    assert_eq!(status(&node, "a").await["phase"], "Running");
    // A rejected pod does not count, and can be deleted.
    let pods: Objects<Pod> = Objects::default_namespaced(node.client.clone());
    pods.delete("a", &DeleteParams::default()).await.unwrap();
    pods.delete("b", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(node.pods().await.is_empty());
    node.create::<Pod>(pod("c", Some("node"))).await;
    advance_5_seconds().await;
    assert_eq!(status(&node, "c").await["phase"], "Running");
}
