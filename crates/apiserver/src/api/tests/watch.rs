//! Watches.

use super::*;

#[tokio::test]
async fn watch_from_the_version_of_a_list_reports_changes_of_the_selection() {
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
    let events: Vec<_> = watched
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
        events,
        ["added", "deleted", "added"],
        "an update without a change is not reported"
    );
}

#[tokio::test]
async fn watch_from_an_expired_version_fails_with_410() {
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
    let (status, error) = send(
        &api,
        "GET",
        "/api/v1/nodes?watch=1&resourceVersion=1",
        Value::Null,
    )
    .await;
    assert_eq!(
        (status, &error["reason"]),
        (StatusCode::GONE, &json!("Expired"))
    );
}

#[tokio::test(start_paused = true)]
async fn idle_watch_sends_bookmarks_and_ends_at_its_timeout() {
    let api = api();
    let request = Request::get(format!(
        "{CONFIG_MAPS}?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&timeoutSeconds=90"
    ));
    let response = api
        .router()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let bytes = to_bytes(response.into_body(), MAX_BODY_LEN).await.unwrap();
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
