//! Evictions of a node's drain, limited by a disruption budget.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::EvictParams;

use super::*;

/// Returns `expectedPods`, `desiredHealthy` and `disruptionsAllowed` of the budget.
async fn budget_status(node: &Fixture) -> (i32, i32, i32) {
    let budgets: Objects<PodDisruptionBudget> = Objects::default_namespaced(node.client.clone());
    let status = budgets.get("web").await.unwrap().status.unwrap_or_default();
    let number = |number: Option<i32>| number.unwrap_or(-1);
    (
        number(status.expected_pods),
        number(status.desired_healthy),
        number(status.disruptions_allowed),
    )
}

/// Evicts a pod.
///
/// # Errors
/// The HTTP status code of the rejection.
async fn evict(node: &Fixture, name: &str) -> Result<(), u16> {
    let pods: Objects<Pod> = Objects::default_namespaced(node.client.clone());
    match pods.evict(name, &EvictParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.code),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn second_eviction_is_allowed_after_the_first_pod_is_replaced() {
    let node = start_node().await;
    node.create::<Deployment>(numbers_api()).await;
    let budget = json!({"metadata": {"name": "web"}, "spec": {
        "maxUnavailable": "50%", "selector": {"matchLabels": {"app": "numbers-api"}}}});
    node.create::<PodDisruptionBudget>(budget).await;
    let second = Duration::from_secs(1);
    tokio::time::sleep(15 * second).await;
    assert_eq!(budget_status(&node).await, (2, 1, 1));
    let names: Vec<String> = node
        .pods()
        .await
        .into_iter()
        .filter_map(|pod| pod.metadata.name)
        .collect();
    assert_eq!(evict(&node, &names[0]).await, Ok(()));
    assert_eq!(evict(&node, &names[1]).await, Err(429));
    tokio::time::sleep(60 * second).await;
    assert_eq!(budget_status(&node).await, (2, 1, 1));
    assert_eq!(evict(&node, &names[1]).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn absolute_budget_counts_the_existing_pods() {
    let node = start_node().await;
    let budget = json!({"metadata": {"name": "web"}, "spec": {
        "minAvailable": 1, "selector": {"matchLabels": {"app": "numbers-api"}}}});
    node.create::<PodDisruptionBudget>(budget).await;
    let second = Duration::from_secs(1);
    tokio::time::sleep(second).await;
    assert_eq!(budget_status(&node).await, (0, 1, 0));
    node.create::<Deployment>(numbers_api()).await;
    tokio::time::sleep(15 * second).await;
    assert_eq!(budget_status(&node).await, (2, 1, 1));
}
