//! Objects go: at once, in two steps, held by finalizers, with their namespace, many together.

use super::*;

#[tokio::test]
async fn a_pod_that_may_run_is_deleted_in_two_steps() {
    let api = api();
    send(&api, "POST", PODS, pod("x")).await;
    let target = json!({"target": {"kind": "Node", "name": "n"}});
    assert_eq!(
        send(&api, "POST", &format!("{PODS}/x/binding"), target.clone())
            .await
            .0,
        StatusCode::CREATED
    );
    assert_eq!(
        send(&api, "POST", &format!("{PODS}/x/binding"), target)
            .await
            .0,
        StatusCode::CONFLICT
    );
    let path = format!("{PODS}/x");
    let (_, first) = send(&api, "DELETE", &path, Value::Null).await;
    assert_eq!(first["metadata"]["deletionGracePeriodSeconds"], 7);
    assert_eq!(
        first["metadata"]["deletionTimestamp"],
        "2026-01-02T03:04:12Z"
    );
    let (_, longer) = send(&api, "DELETE", &path, json!({"gracePeriodSeconds": 8})).await;
    assert_eq!(
        longer["metadata"]["deletionGracePeriodSeconds"], 7,
        "grace only shrinks"
    );
    send(&api, "DELETE", &path, json!({"gracePeriodSeconds": 0})).await;
    assert_eq!(
        send(&api, "GET", &path, Value::Null).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_pod_without_a_node_is_deleted_at_once() {
    let api = api();
    send(&api, "POST", PODS, pod("x")).await;
    send(&api, "DELETE", &format!("{PODS}/x"), Value::Null).await;
    assert_eq!(
        send(&api, "GET", &format!("{PODS}/x"), Value::Null).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_is_gone() {
    let api = api();
    let mut held = map("x");
    held["metadata"]["finalizers"] = json!(["example.org/hold"]);
    send(&api, "POST", MAPS, held).await;
    let path = format!("{MAPS}/x");
    let (_, marked) = send(
        &api,
        "DELETE",
        &path,
        json!({"propagationPolicy": "Foreground"}),
    )
    .await;
    assert_eq!(
        marked["metadata"]["finalizers"],
        json!(["example.org/hold", "foregroundDeletion"])
    );
    assert_eq!(
        marked["metadata"]["deletionTimestamp"],
        "2026-01-02T03:04:05Z"
    );
    let off = json!({"metadata": {"finalizers": null}});
    call(&api, "PATCH", &path, "application/merge-patch+json", off).await;
    assert_eq!(
        send(&api, "GET", &path, Value::Null).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_namespace_that_ends_takes_nothing_new_and_goes_when_it_is_finalized() {
    let api = api();
    let path = "/api/v1/namespaces/default";
    let (_, ending) = send(&api, "DELETE", path, Value::Null).await;
    assert_eq!(ending["status"]["phase"], "Terminating");
    let (status, failure) = send(&api, "POST", MAPS, map("x")).await;
    assert_eq!(
        (status, &failure["details"]["causes"][0]["reason"]),
        (StatusCode::FORBIDDEN, &json!("NamespaceTerminating"))
    );
    let empty = json!({"metadata": {"name": "default"}, "spec": {"finalizers": []}});
    assert_eq!(
        send(&api, "PUT", &format!("{path}/finalize"), empty)
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(
        send(&api, "GET", path, Value::Null).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn all_that_match_are_deleted_together() {
    let api = api();
    for (name, app) in [("x", "a"), ("y", "a"), ("z", "b")] {
        let mut object = map(name);
        object["metadata"]["labels"] = json!({"app": app});
        send(&api, "POST", MAPS, object).await;
    }
    let (_, gone) = send(
        &api,
        "DELETE",
        &format!("{MAPS}?labelSelector=app%3Da"),
        Value::Null,
    )
    .await;
    assert_eq!(gone["items"].as_array().unwrap().len(), 2);
    let (_, left) = send(&api, "GET", MAPS, Value::Null).await;
    assert_eq!(left["items"][0]["metadata"]["name"], "z");
}
