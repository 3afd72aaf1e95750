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

use super::*;

fn api() -> Api {
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

async fn call(
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

async fn send(api: &Api, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
    call(api, method, path, "application/json", body).await
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

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
    let (status, _) = call(
        &api,
        "POST",
        MAPS,
        "application/vnd.kubernetes.protobuf",
        map("x"),
    )
    .await;
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
async fn a_change_of_the_spec_is_numbered_and_one_of_the_status_is_not() {
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
        json!({"spec": {"hostname": "h"}}),
    )
    .await;
    assert_eq!(generation(&changed), 2);
    let status = json!({"spec": {"hostname": "no"}, "status": {"phase": "Running"}});
    let (_, changed) = call(
        &api,
        "PATCH",
        &format!("{path}/status"),
        merge,
        status.clone(),
    )
    .await;
    assert_eq!(
        (&generation(&changed), &changed["spec"]["hostname"]),
        (&json!(2), &json!("h"))
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
        "an ordinary write does not reach the status, and a write of nothing makes no version"
    );
}

#[tokio::test]
async fn patches_come_in_three_kinds_and_server_side_apply_is_refused() {
    let api = api();
    send(&api, "POST", MAPS, map("x")).await;
    let path = format!("{MAPS}/x");
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
    let (status, failure) = call(
        &api,
        "PATCH",
        &path,
        "application/apply-patch+yaml",
        map("x"),
    )
    .await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(
        failure["message"]
            .as_str()
            .unwrap()
            .contains("client-side apply")
    );
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let api = api();
    let version = api.store.version();
    let (status, _) = send(&api, "POST", &format!("{MAPS}?dryRun=All"), map("x")).await;
    assert_eq!(
        (status, api.store.version()),
        (StatusCode::CREATED, version)
    );
}

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
async fn a_watch_goes_on_where_a_list_ended() {
    let api = api();
    let pods: Client<Pod> = Client::default_namespaced(api.client());
    let since = pods
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let watched = pods
        .watch(&WatchParams::default().labels("app=a"), &since)
        .await
        .unwrap();
    let mut object = pod("x");
    send(&api, "POST", PODS, object.clone()).await;
    let merge = "application/merge-patch+json";
    let label = |app: Value| json!({"metadata": {"labels": {"app": app}}});
    for app in [json!("a"), json!("a"), json!("b")] {
        object = label(app);
        call(&api, "PATCH", &format!("{PODS}/x"), merge, object.clone()).await;
    }
    call(
        &api,
        "PATCH",
        &format!("{PODS}/x"),
        merge,
        label(json!("a")),
    )
    .await;
    let seen: Vec<_> = watched
        .take(3)
        .map_ok(|event| match event {
            WatchEvent::Added(_) => "added",
            WatchEvent::Modified(_) => "modified",
            WatchEvent::Deleted(_) => "deleted",
            _ => "other",
        })
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        seen,
        ["added", "deleted", "added"],
        "a write of nothing is no change"
    );
}

#[tokio::test]
async fn a_watch_from_a_version_that_is_forgotten_is_gone() {
    let api = Api {
        store: Store::with_history(1),
        ..api()
    };
    for name in ["a", "b", "c"] {
        send(
            &api,
            "POST",
            "/api/v1/nodes",
            json!({"metadata": {"name": name}}),
        )
        .await;
    }
    let (status, failure) = send(
        &api,
        "GET",
        "/api/v1/nodes?watch=1&resourceVersion=1",
        Value::Null,
    )
    .await;
    assert_eq!(
        (status, &failure["reason"]),
        (StatusCode::GONE, &json!("Expired"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_sends_bookmarks_and_ends_at_its_timeout() {
    let api = api();
    let request = Request::get(format!(
        "{MAPS}?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&timeoutSeconds=90"
    ));
    let response = api
        .router()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let bytes = to_bytes(response.into_body(), MAX_BODY).await.unwrap();
    let kinds: Vec<_> = String::from_utf8(bytes.to_vec())
        .unwrap()
        .lines()
        .map(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            let end =
                event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true";
            (event["type"].as_str().unwrap().to_owned(), end)
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("BOOKMARK".to_owned(), true),
            ("BOOKMARK".to_owned(), false)
        ]
    );
}
