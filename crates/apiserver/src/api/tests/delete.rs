//! Deletion of objects, with grace periods and finalizers, of namespaces and of collections.

use super::*;

#[tokio::test]
async fn scheduled_pod_is_removed_after_deletion_with_grace_period_zero() {
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
    let (_, second) = send(&api, "DELETE", &path, json!({"gracePeriodSeconds": 8})).await;
    assert_eq!(
        second["metadata"]["deletionGracePeriodSeconds"], 7,
        "the grace period can only be shortened"
    );
    send(&api, "DELETE", &path, json!({"gracePeriodSeconds": 0})).await;
    assert_eq!(
        send(&api, "GET", &path, Value::Null).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn unscheduled_pod_is_removed_immediately() {
    let api = api();
    send(&api, "POST", PODS, pod("x")).await;
    send(&api, "DELETE", &format!("{PODS}/x"), Value::Null).await;
    assert_eq!(
        send(&api, "GET", &format!("{PODS}/x"), Value::Null).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn object_is_removed_with_its_last_finalizer() {
    let api = api();
    let mut object = config_map("x");
    object["metadata"]["finalizers"] = json!(["example.org/hold"]);
    send(&api, "POST", CONFIG_MAPS, object).await;
    let path = format!("{CONFIG_MAPS}/x");
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
    let patch = json!({"metadata": {"finalizers": null}});
    call(&api, "PATCH", &path, "application/merge-patch+json", patch).await;
    assert_eq!(
        send(&api, "GET", &path, Value::Null).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn terminating_namespace_rejects_new_objects_and_is_removed_when_finalized() {
    let api = api();
    let namespaces = "/api/v1/namespaces";
    send(&api, "POST", namespaces, json!({"metadata": {"name": "x"}})).await;
    let path = "/api/v1/namespaces/x";
    let (_, terminating) = send(&api, "DELETE", path, Value::Null).await;
    assert_eq!(terminating["status"]["phase"], "Terminating");
    let (status, error) = send(&api, "POST", &format!("{path}/configmaps"), config_map("x")).await;
    assert_eq!(
        (status, &error["details"]["causes"][0]["reason"]),
        (StatusCode::FORBIDDEN, &json!("NamespaceTerminating"))
    );
    let finalized = json!({"metadata": {"name": "x"}, "spec": {"finalizers": []}});
    assert_eq!(
        send(&api, "PUT", &format!("{path}/finalize"), finalized)
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
async fn protected_namespace_cannot_be_deleted() {
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
            let (status, error) = send(&api, "DELETE", &path, Value::Null).await;
            let message =
                format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
            assert_eq!(
                (status, &error["message"], &error["details"]),
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
    let has_verb = |name: &str| {
        let found = resources.iter().find(|resource| resource["name"] == name);
        let verbs = found.unwrap()["verbs"].as_array().unwrap();
        verbs.contains(&json!("deletecollection"))
    };
    assert!(!has_verb("namespaces"));
    assert!(has_verb("pods"));
}

#[tokio::test]
async fn delete_collection_deletes_matching_objects() {
    let api = api();
    for (name, app) in [("x", "a"), ("y", "a"), ("z", "b")] {
        let mut object = config_map(name);
        object["metadata"]["labels"] = json!({"app": app});
        send(&api, "POST", CONFIG_MAPS, object).await;
    }
    let (_, deleted) = send(
        &api,
        "DELETE",
        &format!("{CONFIG_MAPS}?labelSelector=app%3Da"),
        Value::Null,
    )
    .await;
    assert_eq!(deleted["items"].as_array().unwrap().len(), 2);
    let (_, remaining) = send(&api, "GET", CONFIG_MAPS, Value::Null).await;
    assert_eq!(remaining["items"][0]["metadata"]["name"], "z");
}
