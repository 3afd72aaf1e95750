//! Changes are followed from a version on.

use super::*;

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
