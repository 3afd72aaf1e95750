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
    let namespaces = "/api/v1/namespaces";
    send(&api, "POST", namespaces, json!({"metadata": {"name": "x"}})).await;
    let path = "/api/v1/namespaces/x";
    let (_, ending) = send(&api, "DELETE", path, Value::Null).await;
    assert_eq!(ending["status"]["phase"], "Terminating");
    let (status, failure) = send(&api, "POST", &format!("{path}/configmaps"), map("x")).await;
    assert_eq!(
        (status, &failure["details"]["causes"][0]["reason"]),
        (StatusCode::FORBIDDEN, &json!("NamespaceTerminating"))
    );
    let empty = json!({"metadata": {"name": "x"}, "spec": {"finalizers": []}});
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
async fn immortal_namespaces_cannot_be_deleted() {
    let api = api();
    let namespaces = "/api/v1/namespaces";
    for name in ["default", "kube-system", "kube-public"] {
        send(
            &api,
            "POST",
            namespaces,
            json!({"metadata": {"name": name}}),
        )
        .await;
        for path in [
            format!("{namespaces}/{name}"),
            format!("{namespaces}/{name}?dryRun=All"),
        ] {
            let (status, failure) = send(&api, "DELETE", &path, Value::Null).await;
            let message =
                format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
            assert_eq!(
                (status, &failure["message"], &failure["details"]),
                (
                    StatusCode::FORBIDDEN,
                    &json!(message),
                    &json!({"name": name, "kind": "namespaces"})
                )
            );
        }
        let (_, found) = send(&api, "GET", &format!("{namespaces}/{name}"), Value::Null).await;
        assert_eq!(found["metadata"]["deletionTimestamp"], Value::Null);
    }
}

#[tokio::test]
async fn namespaces_have_no_delete_collection() {
    let api = api();
    let (status, _) = send(&api, "DELETE", "/api/v1/namespaces", Value::Null).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let (_, resources) = send(&api, "GET", "/api/v1", Value::Null).await;
    let resources = resources["resources"].as_array().unwrap();
    let can_delete_all = |name: &str| {
        let found = resources.iter().find(|resource| resource["name"] == name);
        let verbs = found.unwrap()["verbs"].as_array().unwrap();
        verbs.contains(&json!("deletecollection"))
    };
    assert!(!can_delete_all("namespaces"));
    assert!(can_delete_all("pods"));
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
