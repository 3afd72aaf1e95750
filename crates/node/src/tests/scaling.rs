//! A deployment that is scaled repeatedly.

use kube::api::{Patch, PatchParams};

use super::*;

/// Scales the deployment and waits until its status and its pods agree with the specification.
async fn scale(node: &Fixture, replicas: i32) {
    let deployments: Objects<Deployment> = Objects::default_namespaced(node.client.clone());
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let parameters = PatchParams::default();
    deployments.patch("d", &parameters, &patch).await.unwrap();
    for _ in 0..120 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let status = deployments
            .get("d")
            .await
            .unwrap()
            .status
            .unwrap_or_default();
        let counts = [
            status.replicas,
            status.ready_replicas,
            status.available_replicas,
        ];
        if counts == [Some(replicas); 3] && node.pods().await.len() == to_usize(replicas) {
            return;
        }
    }
    let status = deployments.get("d").await.unwrap().status;
    panic!(
        "{replicas} replicas: {status:?}, {} pods",
        node.pods().await.len()
    );
}

fn to_usize(replicas: i32) -> usize {
    usize::try_from(replicas).unwrap()
}

#[tokio::test(start_paused = true)]
async fn deployment_converges_after_each_scaling() {
    let node = start_node_with_max_pods(1.0, Workloads::chapter(), 400).await;
    let deployment = json!({"metadata": {"name": "d"}, "spec": {
        "replicas": 30,
        "selector": {"matchLabels": {"app": "d"}},
        "template": {
            "metadata": {"labels": {"app": "d"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "numbers-api"}]},
        },
    }});
    node.create::<Deployment>(deployment).await;
    // Pods that became ready in different seconds of one age bucket, of which one is deleted.
    tokio::time::sleep(Duration::from_millis(1300)).await;
    scale(&node, 60).await;
    tokio::time::sleep(Duration::from_secs(14)).await;
    for replicas in [59, 30, 60, 29] {
        scale(&node, replicas).await;
    }
    let panicked = node.supervisor.health().into_iter();
    let panicked: Vec<_> = panicked.filter(|component| component.panics > 0).collect();
    assert_eq!(panicked, []);
}
