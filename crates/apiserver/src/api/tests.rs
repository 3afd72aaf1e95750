//! Tests of the API through its router.

use axum::body::{Body, to_bytes};
use futures::{StreamExt as _, TryStreamExt as _};
use http::{Request, StatusCode};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{
    Api as Client, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use probe::Clock;
use serde_json::{Value, json};
use tower::ServiceExt as _;

mod apply;
mod delete;
mod deprecation;
mod review;
mod update;
mod watch;
pub(in crate::api) mod websocket;

use super::*;

pub(in crate::api) fn api() -> Api {
    let api = Api::new(Clock::new(
        "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap(),
        1.0,
    ));
    let namespace = crate::store::Key {
        resource: "/namespaces".to_owned(),
        namespace: String::new(),
        name: "default".to_owned(),
    };
    api.store
        .create(
            namespace,
            json!({"metadata": {"name": "default"}, "spec": {"finalizers": ["kubernetes"]}}),
        )
        .unwrap();
    api
}

pub(in crate::api) async fn call(
    api: &Api,
    method: &str,
    path: &str,
    media_type: &str,
    body: Value,
) -> (StatusCode, Value) {
    let response = respond_to(api, method, path, media_type, body).await;
    let status = response.status();
    let bytes = to_bytes(response.into_body(), MAX_BODY_LEN).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn respond_to(
    api: &Api,
    method: &str,
    path: &str,
    media_type: &str,
    body: Value,
) -> Response {
    let body = if body.is_null() {
        Body::empty()
    } else {
        Body::from(body.to_string())
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", media_type)
        .body(body)
        .unwrap();
    api.router().oneshot(request).await.unwrap()
}

pub(in crate::api) async fn send(
    api: &Api,
    method: &str,
    path: &str,
    body: Value,
) -> (StatusCode, Value) {
    call(api, method, path, "application/json", body).await
}

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(in crate::api) const PODS: &str = "/api/v1/namespaces/default/pods";

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 7}})
}

#[tokio::test]
async fn created_object_can_be_read_listed_and_deleted() {
    let api = api();
    let (status, created) = send(&api, "POST", CONFIG_MAPS, config_map("x")).await;
    assert_eq!(
        (status, &created["metadata"]["creationTimestamp"]),
        (StatusCode::CREATED, &json!("2026-01-02T03:04:05Z"))
    );
    assert_eq!(
        send(&api, "GET", &format!("{CONFIG_MAPS}/x"), Value::Null).await,
        (StatusCode::OK, created.clone())
    );
    let (_, list) = send(&api, "GET", CONFIG_MAPS, Value::Null).await;
    assert_eq!(
        (&list["kind"], &list["items"]),
        (&json!("ConfigMapList"), &json!([created]))
    );
    assert_eq!(
        list["metadata"]["resourceVersion"],
        created["metadata"]["resourceVersion"]
    );
    let (status, deleted) = send(&api, "DELETE", &format!("{CONFIG_MAPS}/x"), Value::Null).await;
    assert_eq!(
        (status, &deleted["status"]),
        (StatusCode::OK, &json!("Success"))
    );
    let (status, missing) = send(&api, "GET", &format!("{CONFIG_MAPS}/x"), Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(missing["message"], r#"configmaps "x" not found"#);
}

#[tokio::test]
async fn rejected_request_returns_code_and_reason() {
    let api = api();
    send(&api, "POST", CONFIG_MAPS, config_map("x")).await;
    let other_namespace = json!({"metadata": {"name": "y", "namespace": "other"}});
    let other_kind = json!({"kind": "Secret", "metadata": {"name": "y"}});
    let versioned = json!({"metadata": {"name": "y", "resourceVersion": "1"}});
    let stale = json!({"metadata": {"name": "x", "resourceVersion": "1"}});
    let renamed = json!({"metadata": {"name": "y"}});
    let wrong_uid = json!({"preconditions": {"uid": "other"}});
    for (method, path, body, code, reason) in [
        ("POST", CONFIG_MAPS, config_map("x"), 409, "AlreadyExists"),
        ("POST", CONFIG_MAPS, other_namespace, 400, "BadRequest"),
        ("POST", CONFIG_MAPS, other_kind, 400, "BadRequest"),
        ("POST", CONFIG_MAPS, versioned, 400, "BadRequest"),
        ("POST", CONFIG_MAPS, json!([]), 400, "BadRequest"),
        (
            "POST",
            "/api/v1/namespaces/none/configmaps",
            config_map("x"),
            404,
            "NotFound",
        ),
        (
            "POST",
            "/api/v1/configmaps",
            config_map("x"),
            405,
            "MethodNotAllowed",
        ),
        ("PUT", &format!("{CONFIG_MAPS}/x"), stale, 409, "Conflict"),
        (
            "PUT",
            &format!("{CONFIG_MAPS}/x"),
            renamed,
            400,
            "BadRequest",
        ),
        (
            "PUT",
            &format!("{CONFIG_MAPS}/y"),
            config_map("y"),
            404,
            "NotFound",
        ),
        ("PUT", CONFIG_MAPS, config_map("y"), 405, "MethodNotAllowed"),
        (
            "DELETE",
            &format!("{CONFIG_MAPS}/x"),
            wrong_uid,
            409,
            "Conflict",
        ),
        ("GET", "/api/v1/unknowns", Value::Null, 404, "NotFound"),
        (
            "GET",
            &format!("{CONFIG_MAPS}?fieldSelector=a%3Db"),
            Value::Null,
            400,
            "BadRequest",
        ),
        (
            "GET",
            &format!("{CONFIG_MAPS}?watch=1&resourceVersion=x"),
            Value::Null,
            400,
            "BadRequest",
        ),
    ] {
        let (status, error) = send(&api, method, path, body).await;
        assert_eq!(
            (status.as_u16(), &error["reason"]),
            (code, &json!(reason)),
            "{method} {path}: {error}"
        );
        assert_eq!(
            (&error["kind"], &error["code"]),
            (&json!("Status"), &json!(code))
        );
    }
}

#[tokio::test]
async fn body_that_is_too_long_too_deep_or_of_another_type_is_rejected() {
    let api = api();
    let large = json!({"metadata": {"name": "x"}, "data": {"a": "b".repeat(MAX_BODY_LEN)}});
    assert_eq!(
        send(&api, "POST", CONFIG_MAPS, large).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let (status, _) = call(
        &api,
        "POST",
        CONFIG_MAPS,
        "application/cbor",
        config_map("x"),
    )
    .await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let request = Request::post(CONFIG_MAPS)
        .header("content-type", "application/json")
        .body(Body::from(deep))
        .unwrap();
    assert_eq!(
        api.router().oneshot(request).await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn in_process_client_creates_patches_and_deletes() {
    let api = api();
    let config_maps: Client<ConfigMap> = Client::default_namespaced(api.client());
    let object: ConfigMap =
        serde_json::from_value(json!({"metadata": {"generateName": "x-"}})).unwrap();
    let created = config_maps
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    let name = created.metadata.name.unwrap();
    assert!(name.starts_with("x-") && name.len() == 7, "{name}");
    let patch = Patch::Strategic(json!({"data": {"a": "b"}}));
    let patched = config_maps
        .patch(&name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(patched.data.unwrap()["a"], "b");
    config_maps
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    assert!(config_maps.get_opt(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn chunks_of_a_list_are_complete_and_have_one_resource_version() {
    let api = api();
    for name in ["a", "b", "c", "d", "e"] {
        send(&api, "POST", CONFIG_MAPS, config_map(name)).await;
    }
    let (mut names, mut next, mut versions) = (Vec::new(), String::new(), Vec::new());
    loop {
        let path = format!("{CONFIG_MAPS}?limit=2&continue={next}");
        let (_, list) = send(&api, "GET", &path, Value::Null).await;
        let items = list["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["metadata"]["name"].clone()));
        versions.push(list["metadata"]["resourceVersion"].clone());
        if names.len() == 2 {
            assert_eq!(list["metadata"]["remainingItemCount"], 3);
            // Deletions and creations between chunks do not affect other objects.
            send(&api, "DELETE", &format!("{CONFIG_MAPS}/b"), Value::Null).await;
            send(&api, "POST", CONFIG_MAPS, config_map("aa")).await;
        }
        match list["metadata"]["continue"].as_str() {
            Some(token) => token.clone_into(&mut next),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    assert!(
        versions.iter().all(|version| *version == versions[0]),
        "{versions:?}"
    );
    for query in ["continue=invalid", "limit=-1"] {
        let (status, _) = send(&api, "GET", &format!("{CONFIG_MAPS}?{query}"), Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn eviction_deletes_the_pod() {
    let api = api();
    send(&api, "POST", PODS, pod("x")).await;
    let eviction = json!({"metadata": {"name": "x"}, "deleteOptions": {"gracePeriodSeconds": 0}});
    let (status, _) = send(
        &api,
        "POST",
        &format!("{PODS}/x/eviction"),
        eviction.clone(),
    )
    .await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, _) = send(&api, "POST", &format!("{PODS}/x/eviction"), eviction).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
