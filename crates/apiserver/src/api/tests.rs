//! The API as its clients see it, over a router in this process.

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
mod change;
mod delete;
mod review;
mod watch;
pub(in crate::api) mod web_socket;

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
    let response = api.router().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), MAX_BODY).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

pub(in crate::api) async fn send(
    api: &Api,
    method: &str,
    path: &str,
    body: Value,
) -> (StatusCode, Value) {
    call(api, method, path, "application/json", body).await
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(in crate::api) const PODS: &str = "/api/v1/namespaces/default/pods";

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 7}})
}

#[tokio::test]
async fn what_is_created_can_be_read_listed_and_deleted() {
    let api = api();
    let (status, made) = send(&api, "POST", MAPS, map("x")).await;
    assert_eq!(
        (status, &made["metadata"]["creationTimestamp"]),
        (StatusCode::CREATED, &json!("2026-01-02T03:04:05Z"))
    );
    assert_eq!(
        send(&api, "GET", &format!("{MAPS}/x"), Value::Null).await,
        (StatusCode::OK, made.clone())
    );
    let (_, list) = send(&api, "GET", MAPS, Value::Null).await;
    assert_eq!(
        (&list["kind"], &list["items"]),
        (&json!("ConfigMapList"), &json!([made]))
    );
    assert_eq!(
        list["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    let (status, gone) = send(&api, "DELETE", &format!("{MAPS}/x"), Value::Null).await;
    assert_eq!(
        (status, &gone["status"]),
        (StatusCode::OK, &json!("Success"))
    );
    let (status, missing) = send(&api, "GET", &format!("{MAPS}/x"), Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(missing["message"], r#"configmaps "x" not found"#);
}

#[tokio::test]
async fn requests_that_cannot_be_carried_out_say_why() {
    let api = api();
    send(&api, "POST", MAPS, map("x")).await;
    let elsewhere = json!({"metadata": {"name": "y", "namespace": "other"}});
    let other_kind = json!({"kind": "Secret", "metadata": {"name": "y"}});
    let versioned = json!({"metadata": {"name": "y", "resourceVersion": "1"}});
    let stale = json!({"metadata": {"name": "x", "resourceVersion": "1"}});
    let renamed = json!({"metadata": {"name": "y"}});
    let wrong_uid = json!({"preconditions": {"uid": "other"}});
    for (method, path, body, code, reason) in [
        ("POST", MAPS, map("x"), 409, "AlreadyExists"),
        ("POST", MAPS, elsewhere, 400, "BadRequest"),
        ("POST", MAPS, other_kind, 400, "BadRequest"),
        ("POST", MAPS, versioned, 400, "BadRequest"),
        ("POST", MAPS, json!([]), 400, "BadRequest"),
        (
            "POST",
            "/api/v1/namespaces/none/configmaps",
            map("x"),
            404,
            "NotFound",
        ),
        (
            "POST",
            "/api/v1/configmaps",
            map("x"),
            405,
            "MethodNotAllowed",
        ),
        ("PUT", &format!("{MAPS}/x"), stale, 409, "Conflict"),
        ("PUT", &format!("{MAPS}/x"), renamed, 400, "BadRequest"),
        ("PUT", &format!("{MAPS}/y"), map("y"), 404, "NotFound"),
        ("PUT", MAPS, map("y"), 405, "MethodNotAllowed"),
        ("DELETE", &format!("{MAPS}/x"), wrong_uid, 409, "Conflict"),
        ("GET", "/api/v1/pears", Value::Null, 404, "NotFound"),
        (
            "GET",
            &format!("{MAPS}?fieldSelector=a%3Db"),
            Value::Null,
            400,
            "BadRequest",
        ),
        (
            "GET",
            &format!("{MAPS}?watch=1&resourceVersion=x"),
            Value::Null,
            400,
            "BadRequest",
        ),
    ] {
        let (status, failure) = send(&api, method, path, body).await;
        assert_eq!(
            (status.as_u16(), &failure["reason"]),
            (code, &json!(reason)),
            "{method} {path}: {failure}"
        );
        assert_eq!(
            (&failure["kind"], &failure["code"]),
            (&json!("Status"), &json!(code))
        );
    }
}

#[tokio::test]
async fn a_body_over_the_limit_or_in_another_format_is_refused() {
    let api = api();
    let large = json!({"metadata": {"name": "x"}, "data": {"a": "b".repeat(MAX_BODY)}});
    assert_eq!(
        send(&api, "POST", MAPS, large).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let (status, _) = call(&api, "POST", MAPS, "application/cbor", map("x")).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let request = Request::post(MAPS)
        .header("content-type", "application/json")
        .body(Body::from(deep))
        .unwrap();
    assert_eq!(
        api.router().oneshot(request).await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_client_without_a_socket_does_what_any_client_does() {
    let api = api();
    let maps: Client<ConfigMap> = Client::default_namespaced(api.client());
    let object: ConfigMap =
        serde_json::from_value(json!({"metadata": {"generateName": "x-"}})).unwrap();
    let made = maps.create(&PostParams::default(), &object).await.unwrap();
    let name = made.metadata.name.unwrap();
    assert!(name.starts_with("x-") && name.len() == 7, "{name}");
    let patch = Patch::Strategic(json!({"data": {"a": "b"}}));
    let changed = maps
        .patch(&name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(changed.data.unwrap()["a"], "b");
    maps.delete(&name, &DeleteParams::default()).await.unwrap();
    assert!(maps.get_opt(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn a_list_comes_in_pieces_that_together_are_the_whole() {
    let api = api();
    for name in ["a", "b", "c", "d", "e"] {
        send(&api, "POST", MAPS, map(name)).await;
    }
    let (mut names, mut next, mut versions) = (Vec::new(), String::new(), Vec::new());
    loop {
        let path = format!("{MAPS}?limit=2&continue={next}");
        let (_, list) = send(&api, "GET", &path, Value::Null).await;
        let items = list["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["metadata"]["name"].clone()));
        versions.push(list["metadata"]["resourceVersion"].clone());
        if names.len() == 2 {
            assert_eq!(list["metadata"]["remainingItemCount"], 3);
            // Neither what goes nor what comes between the pieces makes others be missed.
            send(&api, "DELETE", &format!("{MAPS}/b"), Value::Null).await;
            send(&api, "POST", MAPS, map("aa")).await;
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
    for query in ["continue=nonsense", "limit=-1"] {
        let (status, _) = send(&api, "GET", &format!("{MAPS}?{query}"), Value::Null).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn an_eviction_deletes_its_pod() {
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
