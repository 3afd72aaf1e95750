use http::StatusCode;

use super::*;
use crate::api::tests::{PODS, api, call, send};

const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

async fn set_status(api: &Api, path: &str, status: Value) {
    let path = format!("{path}/status");
    let patch = json!({"status": status});
    let (code, patched) = call(api, "PATCH", &path, "application/merge-patch+json", patch).await;
    assert_eq!(code, StatusCode::OK, "{patched}");
}

async fn create_pod(api: &Api, name: &str, phase: &str, ready: &str) {
    let object = json!({"metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    send(api, "POST", PODS, object).await;
    let ready = json!({"phase": phase, "conditions": [{"type": "Ready", "status": ready}]});
    set_status(api, &format!("{PODS}/{name}"), ready).await;
}

/// Creates a budget for all pods with this number of allowed disruptions and of healthy pods.
async fn create_budget(api: &Api, name: &str, spec: Value, allowed: i64, healthy: i64) {
    let mut object = json!({"metadata": {"name": name}, "spec": spec});
    object["spec"]["minAvailable"] = json!(2);
    object["spec"]["selector"] = json!({"matchLabels": {"app": "web"}});
    let (code, created) = send(api, "POST", BUDGETS, object).await;
    assert_eq!(code, StatusCode::CREATED, "{created}");
    let status = json!({"observedGeneration": 1, "disruptionsAllowed": allowed,
        "currentHealthy": healthy, "desiredHealthy": 2, "expectedPods": 3});
    set_status(api, &format!("{BUDGETS}/{name}"), status).await;
}

async fn evict(api: &Api, name: &str) -> (u16, Value) {
    let eviction = json!({"metadata": {"name": name}, "deleteOptions": {"gracePeriodSeconds": 0}});
    let (code, body) = send(api, "POST", &format!("{PODS}/{name}/eviction"), eviction).await;
    (code.as_u16(), body)
}

#[tokio::test]
async fn eviction_above_the_allowed_disruptions_is_rejected() {
    let api = api();
    for name in ["a", "b", "c"] {
        create_pod(&api, name, "Running", "True").await;
    }
    create_budget(&api, "web", json!({}), 1, 3).await;
    assert_eq!(evict(&api, "a").await.0, 201);
    let (_, web) = send(&api, "GET", &format!("{BUDGETS}/web"), Value::Null).await;
    assert_eq!(web["status"]["disruptionsAllowed"], 0);
    assert_eq!(web["status"]["disruptedPods"]["a"], "2026-01-02T03:04:05Z");
    let (code, rejected) = evict(&api, "b").await;
    assert_eq!(
        (code, &rejected["reason"]),
        (429, &json!("TooManyRequests"))
    );
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    assert_eq!(rejected["message"], message);
    let cause = json!({"reason": "DisruptionBudget",
        "message": "The disruption budget web needs 2 healthy pods and has 3 currently"});
    assert_eq!(
        rejected["details"],
        json!({"causes": [cause], "retryAfterSeconds": 10})
    );
    let (found, _) = send(&api, "GET", &format!("{PODS}/b"), Value::Null).await;
    assert_eq!(found, StatusCode::OK);
}

#[tokio::test]
async fn pod_that_is_not_healthy_is_evicted_without_charging_the_budget() {
    let api = api();
    for (name, phase) in [
        ("succeeded", "Succeeded"),
        ("failed", "Failed"),
        ("pending", "Pending"),
    ] {
        create_pod(&api, name, phase, "False").await;
    }
    create_pod(&api, "unhealthy", "Running", "False").await;
    create_budget(&api, "web", json!({}), 0, 1).await;
    for name in ["succeeded", "failed", "pending"] {
        assert_eq!(evict(&api, name).await.0, 201, "{name}");
    }
    assert_eq!(evict(&api, "unhealthy").await.0, 429);
    let enough_healthy = json!({"currentHealthy": 2});
    set_status(&api, &format!("{BUDGETS}/web"), enough_healthy).await;
    assert_eq!(evict(&api, "unhealthy").await.0, 201);
}

#[tokio::test]
async fn budget_with_policy_always_allow_permits_eviction_of_unhealthy_pod() {
    let api = api();
    create_pod(&api, "unhealthy", "Running", "False").await;
    create_pod(&api, "healthy", "Running", "True").await;
    create_budget(
        &api,
        "web",
        json!({"unhealthyPodEvictionPolicy": "AlwaysAllow"}),
        0,
        1,
    )
    .await;
    assert_eq!(evict(&api, "healthy").await.0, 429);
    assert_eq!(evict(&api, "unhealthy").await.0, 201);
}

#[tokio::test]
async fn eviction_fails_with_two_budgets_and_is_rejected_by_an_unobserved_budget() {
    let api = api();
    create_pod(&api, "a", "Running", "True").await;
    create_budget(&api, "one", json!({}), 1, 3).await;
    create_budget(&api, "two", json!({}), 1, 3).await;
    assert_eq!(evict(&api, "a").await.0, 500);
    send(&api, "DELETE", &format!("{BUDGETS}/two"), Value::Null).await;
    let changed = json!({"spec": {"minAvailable": 3}});
    let one = format!("{BUDGETS}/one");
    call(&api, "PATCH", &one, "application/merge-patch+json", changed).await;
    let (code, rejected) = evict(&api, "a").await;
    let reason = "The disruption budget one is still being processed by the server.";
    assert_eq!(
        (code, &rejected["details"]["causes"][0]["message"]),
        (429, &json!(reason))
    );
}
