//! Objects that several apply, each its fields.

use super::*;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/d";

async fn apply(
    api: &Api,
    path: &str,
    manager: &str,
    mut config: Value,
    more: &str,
) -> (StatusCode, Value) {
    let deployment = path.contains("deployments");
    let (version, kind) = if deployment {
        ("apps/v1", "Deployment")
    } else {
        ("v1", "ConfigMap")
    };
    config["apiVersion"] = json!(version);
    config["kind"] = json!(kind);
    let path = format!("{path}?fieldManager={manager}{more}");
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

fn owners(object: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = object["metadata"]["managedFields"].as_array().unwrap();
    list.iter()
        .map(|entry| (text(&entry["manager"]), text(&entry["operation"])))
        .collect()
}

fn owned<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let list = object["metadata"]["managedFields"].as_array().unwrap();
    let entry = list.iter().find(|entry| entry["manager"] == manager);
    &entry.unwrap()["fieldsV1"]
}

#[tokio::test]
async fn applying_makes_an_object_and_applying_the_same_again_changes_nothing() {
    let api = api();
    let path = format!("{MAPS}/x");
    let config = json!({"metadata": {"name": "x", "labels": {"l": "1"}}, "data": {"a": "1"}});
    let (status, made) = apply(&api, &path, "me", config.clone(), "").await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let expected = json!([{
        "manager": "me", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "time": "2026-01-02T03:04:05Z",
        "fieldsV1": {"f:data": {"f:a": {}}, "f:metadata": {"f:labels": {"f:l": {}}}},
    }]);
    assert_eq!(made["metadata"]["managedFields"], expected);
    let (status, same) = apply(&api, &path, "me", config.clone(), "").await;
    assert_eq!((status, &same), (StatusCode::OK, &made));
    let (status, _) = apply(&api, &format!("{MAPS}/y"), "me", json!({}), "&dryRun=All").await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(
        send(&api, "GET", &format!("{MAPS}/y"), Value::Null).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn what_an_applier_wants_no_more_goes_unless_somebody_else_wants_it() {
    let api = api();
    let path = format!("{MAPS}/x");
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
    let (_, left) = apply(&api, &path, "me", json!({"data": {}}), "").await;
    assert_eq!(left["data"], json!({"ours": "2", "yours": "3"}));
    let (_, left) = apply(&api, &path, "you", json!({}), "").await;
    assert_eq!(left["data"], Value::Null);
}

#[tokio::test]
async fn an_element_of_a_list_goes_with_its_applier_and_others_stay() {
    let api = api();
    let c = json!({"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]});
    let s = json!({"name": "s", "image": "i"});
    let (_, made) = apply(&api, DEPLOYMENT, "me", deployment(None, &json!([c, s])), "").await;
    assert_eq!(made["spec"]["replicas"], 1, "{made}");
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
    let (status, left) = apply(&api, DEPLOYMENT, "me", deployment(None, &json!([c])), "").await;
    assert_eq!(status, StatusCode::OK, "{left}");
    let containers = &left["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().unwrap().len(), 1, "{containers}");
    let names: Vec<_> = containers[0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert!(
        names.contains(&&json!("A")) && names.contains(&&json!("C")) && names.len() == 2,
        "{names:?}"
    );
    assert_eq!(
        owners(&left),
        [
            ("me".to_owned(), "Apply".to_owned()),
            ("you".to_owned(), "Update".to_owned())
        ]
    );
}

#[tokio::test]
async fn a_conflict_names_who_owns_what_and_force_takes_it() {
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
    let (_, now) = send(&api, "GET", DEPLOYMENT, Value::Null).await;
    assert_eq!(
        *owned(&now, "scaler"),
        json!({"f:spec": {"f:replicas": {}}})
    );
    assert!(owned(&now, "me")["f:spec"].get("f:replicas").is_none());

    let (status, refused) = apply(&api, DEPLOYMENT, "me", deployment(Some(2), &c), "").await;
    assert_eq!(status, StatusCode::CONFLICT);
    let who = "\"scaler\" using apps/v1";
    assert_eq!(
        refused["message"],
        format!("Apply failed with 1 conflict: conflict with {who}: .spec.replicas")
    );
    assert_eq!(refused["reason"], "Conflict");
    let causes = json!([{"reason": "FieldManagerConflict", "message": format!("conflict with {who}"), "field": ".spec.replicas"}]);
    assert_eq!(refused["details"]["causes"], causes);
    // The same value is no conflict: both own it.
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
        owned(&forced, "me")["f:spec"].get("f:replicas").is_none(),
        "{forced}"
    );
    assert!(
        !owners(&forced)
            .iter()
            .any(|(manager, _)| manager == "scaler"),
        "{forced}"
    );
}

#[tokio::test]
async fn several_conflicts_are_listed_by_manager() {
    let api = api();
    let path = format!("{MAPS}/x");
    apply(&api, &path, "me", json!({"data": {"a": "1", "b": "1"}}), "").await;
    let (status, refused) = apply(
        &api,
        &path,
        "you",
        json!({"data": {"a": "2", "b": "2"}}),
        "",
    )
    .await;
    assert_eq!(status, StatusCode::CONFLICT);
    let expected = "Apply failed with 2 conflicts: conflicts with \"me\":\n- .data.a\n- .data.b";
    assert_eq!(refused["message"], expected);
}

#[tokio::test]
async fn status_and_the_rest_are_applied_at_their_own_paths() {
    let api = api();
    let c = json!([{"name": "c", "image": "i"}]);
    apply(&api, DEPLOYMENT, "me", deployment(Some(2), &c), "").await;
    let status = json!({"status": {"replicas": 7}, "spec": {"replicas": 9}});
    let (code, written) = apply(&api, &format!("{DEPLOYMENT}/status"), "me", status, "").await;
    assert_eq!(code, StatusCode::OK, "{written}");
    assert_eq!(
        (&written["status"]["replicas"], &written["spec"]["replicas"]),
        (&json!(7), &json!(2))
    );
    let entries = written["metadata"]["managedFields"].as_array().unwrap();
    let of_status = entries
        .iter()
        .find(|entry| entry["subresource"] == "status")
        .unwrap();
    assert_eq!(
        of_status["fieldsV1"],
        json!({"f:status": {"f:replicas": {}}})
    );
    assert_eq!(entries.len(), 2, "{entries:?}");
}

#[tokio::test]
async fn what_cannot_be_applied_is_refused_with_a_reason() {
    let api = api();
    let path = format!("{MAPS}/x");
    let media = "application/apply-patch+yaml";
    let (status, refused) = call(&api, "PATCH", &path, media, map("x")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let expected = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
    assert_eq!(refused["message"], expected);
    for (config, why) in [
        (
            json!({"metadata": {"name": "y"}}),
            "does not match the name on the URL",
        ),
        (
            json!({"metadata": {"managedFields": [{}]}}),
            "metadata.managedFields must be nil",
        ),
    ] {
        let (status, refused) = apply(&api, &path, "me", config, "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(
            refused["message"].as_str().unwrap().contains(why),
            "{refused}"
        );
    }
    let untyped = call(
        &api,
        "PATCH",
        &format!("{path}?fieldManager=me"),
        media,
        json!({}),
    )
    .await;
    assert_eq!(untyped.0, StatusCode::BAD_REQUEST);
}
