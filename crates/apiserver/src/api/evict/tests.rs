use super::*;
use crate::api::tests::{PODS, api, call, send};

const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

async fn status(api: &Api, path: &str, status: Value) {
    let path = format!("{path}/status");
    let patch = json!({"status": status});
    let answer = call(api, "PATCH", &path, "application/merge-patch+json", patch).await;
    assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
}

async fn pod(api: &Api, name: &str, phase: &str, ready: &str) {
    let object = json!({"metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    send(api, "POST", PODS, object).await;
    let ready = json!({"phase": phase, "conditions": [{"type": "Ready", "status": ready}]});
    status(api, &format!("{PODS}/{name}"), ready).await;
}

/// A budget of that name for these pods, of which so many may be missing.
async fn budget(api: &Api, name: &str, spec: Value, allowed: i64, healthy: i64) {
    let mut object = json!({"metadata": {"name": name}, "spec": spec});
    object["spec"]["minAvailable"] = json!(2);
    object["spec"]["selector"] = json!({"matchLabels": {"app": "web"}});
    let (code, made) = send(api, "POST", BUDGETS, object).await;
    assert_eq!(code, StatusCode::CREATED, "{made}");
    let counted = json!({"observedGeneration": 1, "disruptionsAllowed": allowed,
        "currentHealthy": healthy, "desiredHealthy": 2, "expectedPods": 3});
    status(api, &format!("{BUDGETS}/{name}"), counted).await;
}

async fn evict(api: &Api, name: &str) -> (u16, Value) {
    let eviction = json!({"metadata": {"name": name}, "deleteOptions": {"gracePeriodSeconds": 0}});
    let (code, answer) = send(api, "POST", &format!("{PODS}/{name}/eviction"), eviction).await;
    (code.as_u16(), answer)
}

#[tokio::test]
async fn as_many_pods_are_evicted_as_their_budget_allows() {
    let api = api();
    for name in ["a", "b", "c"] {
        pod(&api, name, "Running", "True").await;
    }
    budget(&api, "web", json!({}), 1, 3).await;
    assert_eq!(evict(&api, "a").await.0, 201);
    let (_, web) = send(&api, "GET", &format!("{BUDGETS}/web"), Value::Null).await;
    assert_eq!(web["status"]["disruptionsAllowed"], 0);
    assert_eq!(web["status"]["disruptedPods"]["a"], "2026-01-02T03:04:05Z");
    let (code, refused) = evict(&api, "b").await;
    assert_eq!((code, &refused["reason"]), (429, &json!("TooManyRequests")));
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    assert_eq!(refused["message"], message);
    let cause = json!({"reason": "DisruptionBudget",
        "message": "The disruption budget web needs 2 healthy pods and has 3 currently"});
    assert_eq!(
        refused["details"],
        json!({"causes": [cause], "retryAfterSeconds": 10})
    );
    let (found, _) = send(&api, "GET", &format!("{PODS}/b"), Value::Null).await;
    assert_eq!(found, StatusCode::OK);
}

#[tokio::test]
async fn whoever_does_not_serve_may_go() {
    let api = api();
    for (name, phase) in [
        ("ended", "Succeeded"),
        ("failed", "Failed"),
        ("waiting", "Pending"),
    ] {
        pod(&api, name, phase, "False").await;
    }
    pod(&api, "unhealthy", "Running", "False").await;
    budget(&api, "web", json!({}), 0, 1).await;
    for name in ["ended", "failed", "waiting"] {
        assert_eq!(evict(&api, name).await.0, 201, "{name}");
    }
    assert_eq!(evict(&api, "unhealthy").await.0, 429);
    let enough = json!({"currentHealthy": 2});
    status(&api, &format!("{BUDGETS}/web"), enough).await;
    assert_eq!(evict(&api, "unhealthy").await.0, 201);
}

#[tokio::test]
async fn a_budget_may_let_unhealthy_pods_go_whatever_is_missing() {
    let api = api();
    pod(&api, "unhealthy", "Running", "False").await;
    pod(&api, "healthy", "Running", "True").await;
    budget(
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
async fn two_budgets_for_one_pod_are_one_too_many_and_a_new_one_has_to_be_counted_first() {
    let api = api();
    pod(&api, "a", "Running", "True").await;
    budget(&api, "one", json!({}), 1, 3).await;
    budget(&api, "two", json!({}), 1, 3).await;
    assert_eq!(evict(&api, "a").await.0, 500);
    send(&api, "DELETE", &format!("{BUDGETS}/two"), Value::Null).await;
    let changed = json!({"spec": {"minAvailable": 3}});
    let one = format!("{BUDGETS}/one");
    call(&api, "PATCH", &one, "application/merge-patch+json", changed).await;
    let (code, refused) = evict(&api, "a").await;
    let why = "The disruption budget one is still being processed by the server.";
    assert_eq!(
        (code, &refused["details"]["causes"][0]["message"]),
        (429, &json!(why))
    );
}
