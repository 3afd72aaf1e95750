//! The API.

use futures::future::join_all;
use serde_json::json;
use test_support::postgres::Server;

use crate::harness::TestApp;

/// Runs a test on both stores.
async fn on_both(test: impl AsyncFn(&TestApp)) {
    test(&TestApp::sqlite(&[], &[]).await).await;
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(|state| matches!(state, todo_web::database::State::Up(_)))
        .await;
    test(&app).await;
}

#[tokio::test]
async fn item_is_added_changed_found_and_deleted() {
    on_both(async |app| {
        let added = app
            .call("POST", "/api/todos", json!({"text": "  buy milk "}))
            .await;
        assert_eq!(added.status, 201, "{}", added.body);
        let item = added.json();
        let path = added.header("location").to_owned();
        assert_eq!(path, format!("/api/todos/{}", item["id"]));
        assert_eq!(
            (&item["text"], &item["done"]),
            (&json!("buy milk"), &json!(false))
        );
        assert_eq!(app.get(&path).await.json(), item);
        let changed = app.call("PATCH", &path, json!({"done": true})).await.json();
        assert_eq!(
            (&changed["text"], &changed["done"]),
            (&json!("buy milk"), &json!(true))
        );
        let changed = app
            .call("PATCH", &path, json!({"text": "bread"}))
            .await
            .json();
        assert_eq!(
            (&changed["text"], &changed["done"]),
            (&json!("bread"), &json!(true))
        );
        assert_eq!(
            app.get("/api/todos").await.json()["items"],
            json!([changed])
        );
        assert_eq!(app.send("DELETE", &path, &[], "").await.status, 204);
        for method in ["GET", "DELETE"] {
            assert_eq!(app.send(method, &path, &[], "").await.status, 404);
        }
    })
    .await;
}

#[tokio::test]
async fn pages_have_the_newest_items_first() {
    on_both(async |app| {
        for number in 1..=5 {
            app.call("POST", "/api/todos", json!({"text": number.to_string()}))
                .await;
        }
        let (mut path, mut texts) = ("/api/todos?limit=2".to_owned(), Vec::new());
        loop {
            let page = app.get(&path).await.json();
            texts.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["text"].clone()),
            );
            match page["next_before"].as_i64() {
                Some(before) => path = format!("/api/todos?limit=2&before={before}"),
                None => break,
            }
        }
        assert_eq!(texts, ["5", "4", "3", "2", "1"]);
    })
    .await;
}

#[tokio::test]
async fn repeated_request_with_its_key_adds_nothing() {
    on_both(async |app| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "once"),
        ];
        let first = app
            .send("POST", "/api/todos", &headers, r#"{"text": "a"}"#)
            .await;
        let second = app
            .send("POST", "/api/todos", &headers, r#"{"text": "a"}"#)
            .await;
        assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 200));
        assert_eq!(first.json(), second.json());
        assert_eq!(
            app.get("/api/todos").await.json()["items"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        let metrics = app.get("/metrics").await.body;
        assert!(metrics.contains("todo_items_created_total 1\n"));
        assert!(http_service::exposition::check_histograms(&metrics).unwrap() > 0);
    })
    .await;
}

#[tokio::test]
async fn invalid_request_is_answered_with_problem_details() {
    let app = TestApp::sqlite(&[], &[]).await;
    let long = json!({"text": "x".repeat(257)}).to_string();
    for (method, path, body, status, detail) in [
        ("POST", "/api/todos", "{}", 422, "missing field `text`"),
        ("POST", "/api/todos", "{", 400, "invalid JSON"),
        (
            "POST",
            "/api/todos",
            r#"{"text": " "}"#,
            422,
            "the text is empty",
        ),
        (
            "POST",
            "/api/todos",
            r#"{"text": "a\nb"}"#,
            422,
            "control characters",
        ),
        (
            "POST",
            "/api/todos",
            long.as_str(),
            422,
            "the text has 257 characters",
        ),
        (
            "POST",
            "/api/todos",
            r#"{"text": "a", "id": 7}"#,
            422,
            "unknown field `id`",
        ),
        ("GET", "/api/todos?limit=0", "", 400, "limit is 0"),
        (
            "GET",
            "/api/todos?limit=x",
            "",
            400,
            "Failed to deserialize",
        ),
        ("GET", "/api/todos?page=2", "", 400, "Failed to deserialize"),
        ("GET", "/api/todos/99", "", 404, "There is no item 99"),
        ("GET", "/api/todos/x", "", 404, "Ids of items are integers"),
        (
            "PATCH",
            "/api/todos/99",
            r#"{"done": true}"#,
            404,
            "There is no item 99",
        ),
        (
            "PUT",
            "/api/todos",
            "{}",
            405,
            "does not support this method",
        ),
    ] {
        let answer = app
            .send(method, path, &[("content-type", "application/json")], body)
            .await;
        let problem = answer.json();
        assert_eq!(answer.status, status, "{method} {path} {body}: {problem}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        assert!(
            problem["detail"].as_str().unwrap().contains(detail),
            "{problem}"
        );
    }
    let text = app
        .send(
            "POST",
            "/api/todos",
            &[("content-type", "text/plain")],
            "{}",
        )
        .await;
    assert_eq!(text.status, 415);
    let key = [
        ("content-type", "application/json"),
        ("idempotency-key", ""),
    ];
    assert_eq!(
        app.send("POST", "/api/todos", &key, r#"{"text": "a"}"#)
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn concurrent_requests_with_one_key_add_one_item() {
    on_both(async |app| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "once"),
        ];
        let add = || app.send("POST", "/api/todos", &headers, r#"{"text": "a"}"#);
        let answers = join_all((0..20).map(|_| add())).await;
        let added = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(added, 1);
        for answer in &answers {
            assert!(answer.status.is_success(), "{}", answer.body);
            assert_eq!(answer.json(), answers[0].json());
        }
    })
    .await;
}

#[tokio::test]
async fn unknown_path_and_large_body_are_answered_with_problem_details() {
    let app = TestApp::sqlite(&[], &[]).await;
    let huge = json!({"text": "x".repeat(80_000)});
    let announced = [
        ("content-type", "application/json"),
        ("content-length", "99999999999"),
    ];
    for (answer, status) in [
        (app.send("POST", "/api/todos", &announced, "").await, 413),
        (app.get("/api/nothing").await, 404),
        (app.send("POST", "/api/openapi.json", &[], "").await, 405),
        (app.call("POST", "/api/todos", huge).await, 413),
        (
            app.send("GET", "/api/todos/99999999999999999999", &[], "")
                .await,
            404,
        ),
    ] {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

/// The description is written by hand.
#[tokio::test]
async fn openapi_description_matches_the_api() {
    let app = TestApp::sqlite(&[], &[]).await;
    let description = app.get("/api/openapi.json").await.json();
    for (path, operations) in description["paths"].as_object().unwrap() {
        let allowed = app.send("TRACE", &path.replace("{id}", "1"), &[], "").await;
        let mut allowed: Vec<String> = allowed
            .header("allow")
            .split(',')
            .map(str::to_lowercase)
            .filter(|method| method != "head")
            .collect();
        let mut described: Vec<String> = operations.as_object().unwrap().keys().cloned().collect();
        described.retain(|key| key != "parameters");
        allowed.sort();
        described.sort();
        assert_eq!(allowed, described, "{path}");
    }
    let schemas = &description["components"]["schemas"];
    assert_eq!(schemas["Text"]["maxLength"], todo_web::item::MAX_LENGTH);
    let item = app
        .call("POST", "/api/todos", json!({"text": "a"}))
        .await
        .json();
    let page = app.get("/api/todos").await.json();
    let problem = app
        .call("POST", "/api/todos", json!({"text": ""}))
        .await
        .json();
    for (name, example) in [("Item", item), ("Page", page), ("Problem", problem)] {
        let described = schemas[name]["properties"].as_object().unwrap();
        assert_eq!(
            described.keys().collect::<Vec<_>>(),
            example.as_object().unwrap().keys().collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn read_only_list_rejects_changes() {
    let app = TestApp::sqlite(&[], &[("Database__ReadOnly", "true")]).await;
    assert_eq!(app.get("/api/todos").await.status, 200);
    let rejected = app.call("POST", "/api/todos", json!({"text": "a"})).await;
    assert_eq!(
        (rejected.status.as_u16(), rejected.json()["title"].clone()),
        (403, json!("Forbidden"))
    );
    let page = app.get("/list").await.body;
    assert!(page.contains("The list is read-only") && !page.contains("class=\"add\""));
}
