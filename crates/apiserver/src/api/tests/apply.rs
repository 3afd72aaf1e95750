//! Server-side apply by several managers.

use super::*;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/d";

async fn apply(
    api: &Api,
    path: &str,
    manager: &str,
    mut config: Value,
    extra_query: &str,
) -> (StatusCode, Value) {
    let deployment = path.contains("deployments");
    let (version, kind) = if deployment {
        ("apps/v1", "Deployment")
    } else {
        ("v1", "ConfigMap")
    };
    config["apiVersion"] = json!(version);
    config["kind"] = json!(kind);
    let path = format!("{path}?fieldManager={manager}{extra_query}");
    call(api, "PATCH", &path, "application/apply-patch+yaml", config).await
}

fn deployment(replicas: Option<u32>, containers: &Value) -> Value {
    let mut object = json!({"spec": {
        "selector": {"matchLabels": {"a": "1"}},
        "template": {"metadata": {"labels": {"a": "1"}}, "spec": {"containers": containers}},
    }});
    if let Some(replicas) = replicas {
        object["spec"]["replicas"] = json!(replicas);
    }
    object
}

fn managers(object: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = object["metadata"]["managedFields"].as_array().unwrap();
    list.iter()
        .map(|entry| (text(&entry["manager"]), text(&entry["operation"])))
        .collect()
}

fn owned_fields<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let list = object["metadata"]["managedFields"].as_array().unwrap();
    let entry = list.iter().find(|entry| entry["manager"] == manager);
    &entry.unwrap()["fieldsV1"]
}

#[tokio::test]
async fn apply_creates_an_object_and_repeated_apply_changes_nothing() {
    let api = api();
    let path = format!("{CONFIG_MAPS}/x");
    let config = json!({"metadata": {"name": "x", "labels": {"l": "1"}}, "data": {"a": "1"}});
    let (status, created) = apply(&api, &path, "me", config.clone(), "").await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let expected = json!([{
        "manager": "me", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "time": "2026-01-02T03:04:05Z",
        "fieldsV1": {"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:l": {}}}},
    }]);
    assert_eq!(created["metadata"]["managedFields"], expected);
    let (status, same) = apply(&api, &path, "me", config.clone(), "").await;
    assert_eq!((status, &same), (StatusCode::OK, &created));
    let (status, _) = apply(
        &api,
        &format!("{CONFIG_MAPS}/y"),
        "me",
        json!({}),
        "&dryRun=All",
    )
    .await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(
        send(&api, "GET", &format!("{CONFIG_MAPS}/y"), Value::Null)
            .await
            .0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn field_that_is_no_longer_applied_is_removed_unless_another_manager_owns_it() {
    let api = api();
    let path = format!("{CONFIG_MAPS}/x");
    apply(
        &api,
        &path,
        "me",
        json!({"data": {"mine": "1", "ours": "2"}}),
        "",
    )
    .await;
    let (status, both) = apply(
        &api,
        &path,
        "you",
        json!({"data": {"ours": "2", "yours": "3"}}),
        "",
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        both["data"],
        json!({"mine": "1", "ours": "2", "yours": "3"})
    );
    let (_, applied) = apply(&api, &path, "me", json!({"data": {}}), "").await;
    assert_eq!(applied["data"], json!({"ours": "2", "yours": "3"}));
    let (_, applied) = apply(&api, &path, "you", json!({}), "").await;
    assert_eq!(applied["data"], Value::Null);
}

#[tokio::test]
async fn list_element_that_is_no_longer_applied_is_removed_and_others_are_kept() {
    let api = api();
    let c = json!({"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]});
    let s = json!({"name": "s", "image": "i"});
    let (_, created) = apply(&api, DEPLOYMENT, "me", deployment(None, &json!([c, s])), "").await;
    assert_eq!(created["spec"]["replicas"], 1, "{created}");
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "C", "value": "3"}]}]}}}});
    let strategic = "application/strategic-merge-patch+json";
    let (status, _) = call(
        &api,
        "PATCH",
        &format!("{DEPLOYMENT}?fieldManager=you"),
        strategic,
        patch,
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let c = json!({"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}]});
    let (status, applied) = apply(&api, DEPLOYMENT, "me", deployment(None, &json!([c])), "").await;
    assert_eq!(status, StatusCode::OK, "{applied}");
    let containers = &applied["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().unwrap().len(), 1, "{containers}");
    let names: Vec<_> = containers[0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| &variable["name"])
        .collect();
    assert!(
        names.contains(&&json!("A")) && names.contains(&&json!("C")) && names.len() == 2,
        "{names:?}"
    );
    assert_eq!(
        managers(&applied),
        [
            ("me".to_owned(), "Apply".to_owned()),
            ("you".to_owned(), "Update".to_owned())
        ]
    );
}

#[tokio::test]
async fn conflict_names_manager_and_field_and_force_transfers_ownership() {
    let api = api();
    let c = json!([{"name": "c", "image": "i"}]);
    apply(&api, DEPLOYMENT, "me", deployment(Some(2), &c), "").await;
    let scale = json!({"spec": {"replicas": 5}});
    let merge = "application/merge-patch+json";
    call(
        &api,
        "PATCH",
        &format!("{DEPLOYMENT}?fieldManager=scaler"),
        merge,
        scale,
    )
    .await;
    let (_, scaled) = send(&api, "GET", DEPLOYMENT, Value::Null).await;
    assert_eq!(
        *owned_fields(&scaled, "scaler"),
        json!({"f:spec": {"f:replicas": {}}})
    );
    let own_spec = &owned_fields(&scaled, "me")["f:spec"];
    assert!(own_spec.get("f:replicas").is_none());

    let (status, rejected) = apply(&api, DEPLOYMENT, "me", deployment(Some(2), &c), "").await;
    assert_eq!(status, StatusCode::CONFLICT);
    let manager = "\"scaler\" using apps/v1";
    assert_eq!(
        rejected["message"],
        format!("Apply failed with 1 conflict: conflict with {manager}: .spec.replicas")
    );
    assert_eq!(rejected["reason"], "Conflict");
    let causes = json!([{"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": ".spec.replicas"}]);
    assert_eq!(rejected["details"]["causes"], causes);
    // The same value is not a conflict: both managers own the field.
    let (status, _) = apply(&api, DEPLOYMENT, "me", deployment(Some(5), &c), "").await;
    assert_eq!(status, StatusCode::OK);

    let (status, forced) = apply(
        &api,
        DEPLOYMENT,
        "you",
        deployment(Some(3), &c),
        "&force=true",
    )
    .await;
    assert_eq!(
        (status, &forced["spec"]["replicas"]),
        (StatusCode::OK, &json!(3))
    );
    assert!(
        owned_fields(&forced, "me")["f:spec"]
            .get("f:replicas")
            .is_none(),
        "{forced}"
    );
    assert!(
        !managers(&forced)
            .iter()
            .any(|(manager, _)| manager == "scaler"),
        "{forced}"
    );
}

#[tokio::test]
async fn conflicts_are_listed_by_manager() {
    let api = api();
    let path = format!("{CONFIG_MAPS}/x");
    apply(&api, &path, "me", json!({"data": {"a": "1", "b": "1"}}), "").await;
    let (status, rejected) = apply(
        &api,
        &path,
        "you",
        json!({"data": {"a": "2", "b": "2"}}),
        "",
    )
    .await;
    assert_eq!(status, StatusCode::CONFLICT);
    let expected = "Apply failed with 2 conflicts: conflicts with \"me\":\n- .data.a\n- .data.b";
    assert_eq!(rejected["message"], expected);
}

#[tokio::test]
async fn status_is_applied_only_through_its_subresource() {
    let api = api();
    let c = json!([{"name": "c", "image": "i"}]);
    apply(&api, DEPLOYMENT, "me", deployment(Some(2), &c), "").await;
    let status = json!({"status": {"replicas": 7}, "spec": {"replicas": 9}});
    let (code, applied) = apply(&api, &format!("{DEPLOYMENT}/status"), "me", status, "").await;
    assert_eq!(code, StatusCode::OK, "{applied}");
    assert_eq!(
        (&applied["status"]["replicas"], &applied["spec"]["replicas"]),
        (&json!(7), &json!(2))
    );
    let entries = applied["metadata"]["managedFields"].as_array().unwrap();
    let status_entry = entries
        .iter()
        .find(|entry| entry["subresource"] == "status")
        .unwrap();
    assert_eq!(
        status_entry["fieldsV1"],
        json!({"f:status": {"f:replicas": {}}})
    );
    assert_eq!(entries.len(), 2, "{entries:?}");
}

#[tokio::test]
async fn invalid_apply_request_is_rejected() {
    let api = api();
    let path = format!("{CONFIG_MAPS}/x");
    let media = "application/apply-patch+yaml";
    let (status, rejected) = call(&api, "PATCH", &path, media, config_map("x")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
    assert_eq!(rejected["message"], expected);
    for (config, message) in [
        (
            json!({"metadata": {"name": "y"}}),
            "does not match the name on the URL",
        ),
        (
            json!({"metadata": {"managedFields": [{}]}}),
            "metadata.managedFields must be nil",
        ),
    ] {
        let (status, rejected) = apply(&api, &path, "me", config, "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(
            rejected["message"].as_str().unwrap().contains(message),
            "{rejected}"
        );
    }
    let (status, _) = call(
        &api,
        "PATCH",
        &format!("{path}?fieldManager=me"),
        media,
        json!({}),
    )
    .await;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "without apiVersion and kind"
    );
}
