//! Updates, patches and scaling of existing objects.

use super::*;

#[tokio::test]
async fn generation_counts_changes_of_spec_and_not_of_status() {
    let api = api();
    send(&api, "POST", PODS, pod("x")).await;
    let path = format!("{PODS}/x");
    let merge = "application/merge-patch+json";
    let generation = |object: &Value| object["metadata"]["generation"].clone();
    let (_, changed) = call(
        &api,
        "PATCH",
        &path,
        merge,
        json!({"spec": {"activeDeadlineSeconds": 5}}),
    )
    .await;
    assert_eq!(generation(&changed), 2);
    let status = json!({"spec": {"activeDeadlineSeconds": 9}, "status": {"phase": "Running"}});
    let (_, changed) = call(
        &api,
        "PATCH",
        &format!("{path}/status"),
        merge,
        status.clone(),
    )
    .await;
    assert_eq!(
        (
            &generation(&changed),
            &changed["spec"]["activeDeadlineSeconds"]
        ),
        (&json!(2), &json!(5))
    );
    assert_eq!(changed["status"]["phase"], "Running");
    let (_, same) = call(
        &api,
        "PATCH",
        &path,
        merge,
        json!({"status": {"phase": "Failed"}}),
    )
    .await;
    assert_eq!(
        same, changed,
        "an update ignores the status, and an update without a change creates no resource version"
    );
}

#[tokio::test]
async fn supported_patch_is_applied_and_other_type_is_rejected() {
    let api = api();
    send(&api, "POST", CONFIG_MAPS, config_map("x")).await;
    let path = format!("{CONFIG_MAPS}/x");
    for (media_type, patch, data) in [
        (
            "application/json-patch+json",
            json!([{"op": "add", "path": "/data/b", "value": "2"}]),
            json!({"a": "1", "b": "2"}),
        ),
        (
            "application/merge-patch+json",
            json!({"data": {"b": null}}),
            json!({"a": "1"}),
        ),
        (
            "application/strategic-merge-patch+json",
            json!({"data": {"c": "3"}}),
            json!({"a": "1", "c": "3"}),
        ),
    ] {
        let (status, changed) = call(&api, "PATCH", &path, media_type, patch).await;
        assert_eq!(
            (status, &changed["data"]),
            (StatusCode::OK, &data),
            "{media_type}"
        );
    }
    let (status, error) = call(
        &api,
        "PATCH",
        &path,
        "application/apply-patch+cbor",
        config_map("x"),
    )
    .await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("application/apply-patch+yaml")
    );
}

#[tokio::test]
async fn dry_run_stores_nothing() {
    let api = api();
    let version = api.store.version();
    let (status, _) = send(
        &api,
        "POST",
        &format!("{CONFIG_MAPS}?dryRun=All"),
        config_map("x"),
    )
    .await;
    assert_eq!(
        (status, api.store.version()),
        (StatusCode::CREATED, version)
    );
}

#[tokio::test]
async fn scale_subresource_validates_replicas_and_resource_version() {
    let api = api();
    let labels = json!({"app": "x"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }},
    });
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let (status, _) = send(&api, "POST", path, deployment).await;
    assert_eq!(status, StatusCode::CREATED);
    let path = format!("{path}/x/scale");
    let merge = "application/merge-patch+json";
    for (replicas, status, message) in [
        (json!(3), 200, ""),
        (
            json!(-1),
            422,
            "Scale.autoscaling \"x\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!("two"),
            400,
            "Scale in version \"v1\" cannot be handled as a Scale: spec.replicas: \"two\" is not an integer",
        ),
    ] {
        let patch = json!({"spec": {"replicas": replicas}});
        let (found, body) = call(&api, "PATCH", &path, merge, patch).await;
        assert_eq!(found.as_u16(), status, "{body}");
        assert_eq!(body["message"].as_str().unwrap_or_default(), message);
    }
    let (_, mut scale) = send(&api, "GET", &path, Value::Null).await;
    assert_eq!(scale["spec"]["replicas"], 3);
    // A scale with a resource version applies to that version only, one without to any.
    scale["spec"]["replicas"] = json!(4);
    let (status, changed) = send(&api, "PUT", &path, scale.clone()).await;
    assert_eq!(
        (status.as_u16(), &changed["spec"]["replicas"]),
        (200, &json!(4))
    );
    scale["spec"]["replicas"] = json!(5);
    let (status, _) = send(&api, "PUT", &path, scale.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let version = scale["metadata"]["resourceVersion"].take();
    let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"replicas": 5}});
    let (status, _) = call(&api, "PATCH", &path, merge, patch).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (status, changed) = send(&api, "PUT", &path, scale).await;
    assert_eq!(
        (status.as_u16(), &changed["spec"]["replicas"]),
        (200, &json!(5))
    );
}
