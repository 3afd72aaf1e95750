//! The list for programs.

use futures::future::join_all;
use serde_json::json;
use test_support::postgres::Server;

use crate::rig::Rig;

/// The same rules on both stores.
async fn on_both(test: impl AsyncFn(&Rig)) {
    test(&Rig::sqlite(&[], &[]).await).await;
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let rig = Rig::postgres(&server, &[]);
    rig.until(|state| matches!(state, todo_web::database::State::Up(_)))
        .await;
    test(&rig).await;
}

#[tokio::test]
async fn an_item_is_added_changed_found_and_deleted() {
    on_both(async |rig| {
        let added = rig
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
        assert_eq!(rig.get(&path).await.json(), item);
        let changed = rig.call("PATCH", &path, json!({"done": true})).await.json();
        assert_eq!(
            (&changed["text"], &changed["done"]),
            (&json!("buy milk"), &json!(true))
        );
        let changed = rig
            .call("PATCH", &path, json!({"text": "bread"}))
            .await
            .json();
        assert_eq!(
            (&changed["text"], &changed["done"]),
            (&json!("bread"), &json!(true))
        );
        assert_eq!(
            rig.get("/api/todos").await.json()["items"],
            json!([changed])
        );
        assert_eq!(rig.send("DELETE", &path, &[], "").await.status, 204);
        for method in ["GET", "DELETE"] {
            assert_eq!(rig.send(method, &path, &[], "").await.status, 404);
        }
    })
    .await;
}

#[tokio::test]
async fn the_newest_items_come_first_page_by_page() {
    on_both(async |rig| {
        for number in 1..=5 {
            rig.call("POST", "/api/todos", json!({"text": number.to_string()}))
                .await;
        }
        let (mut path, mut texts) = ("/api/todos?limit=2".to_owned(), Vec::new());
        loop {
            let page = rig.get(&path).await.json();
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
async fn a_request_that_is_sent_again_with_its_key_adds_nothing() {
    on_both(async |rig| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "once"),
        ];
        let first = rig
            .send("POST", "/api/todos", &headers, r#"{"text": "a"}"#)
            .await;
        let second = rig
            .send("POST", "/api/todos", &headers, r#"{"text": "a"}"#)
            .await;
        assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 200));
        assert_eq!(first.json(), second.json());
        assert_eq!(
            rig.get("/api/todos").await.json()["items"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        let metrics = rig.get("/metrics").await.body;
        assert!(metrics.contains("todo_items_created_total 1\n"));
        assert!(http_service::exposition::check_histograms(&metrics).unwrap() > 0);
    })
    .await;
}

#[tokio::test]
async fn what_makes_no_sense_is_told_in_problem_details() {
    let rig = Rig::sqlite(&[], &[]).await;
    let long = json!({"text": "x".repeat(257)}).to_string();
    for (method, path, body, status, detail) in [
        ("POST", "/api/todos", "{}", 422, "missing field `text`"),
        ("POST", "/api/todos", "{", 400, "Failed to parse"),
        (
            "POST",
            "/api/todos",
            r#"{"text": " "}"#,
            422,
            "say what is to be done",
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
            "257 characters are too many",
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
        ("GET", "/api/todos/x", "", 404, "whole numbers"),
        (
            "PATCH",
            "/api/todos/99",
            r#"{"done": true}"#,
            404,
            "There is no item 99",
        ),
        ("PUT", "/api/todos", "{}", 405, "does not do that"),
    ] {
        let answer = rig
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
    let text = rig
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
        rig.send("POST", "/api/todos", &key, r#"{"text": "a"}"#)
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_crowd_with_one_key_adds_one_item() {
    on_both(async |rig| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "once"),
        ];
        let add = || rig.send("POST", "/api/todos", &headers, r#"{"text": "a"}"#);
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
async fn what_programs_cannot_reach_or_send_is_a_problem_too() {
    let rig = Rig::sqlite(&[], &[]).await;
    let huge = json!({"text": "x".repeat(80_000)});
    let announced = [
        ("content-type", "application/json"),
        ("content-length", "99999999999"),
    ];
    for (answer, status) in [
        (rig.send("POST", "/api/todos", &announced, "").await, 413),
        (rig.get("/api/nothing").await, 404),
        (rig.send("POST", "/api/openapi.json", &[], "").await, 405),
        (rig.call("POST", "/api/todos", huge).await, 413),
        (
            rig.send("GET", "/api/todos/99999999999999999999", &[], "")
                .await,
            404,
        ),
    ] {
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

/// The description is written by hand; it names what is there, and nothing else.
#[tokio::test]
async fn the_description_is_of_this_api() {
    let rig = Rig::sqlite(&[], &[]).await;
    let description = rig.get("/api/openapi.json").await.json();
    for (path, operations) in description["paths"].as_object().unwrap() {
        let allowed = rig.send("TRACE", &path.replace("{id}", "1"), &[], "").await;
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
    assert_eq!(schemas["Text"]["maxLength"], todo_web::item::LONGEST);
    let item = rig
        .call("POST", "/api/todos", json!({"text": "a"}))
        .await
        .json();
    let page = rig.get("/api/todos").await.json();
    let problem = rig
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
async fn a_read_only_list_can_be_looked_at_and_not_changed() {
    let rig = Rig::sqlite(&[], &[("Database__ReadOnly", "true")]).await;
    assert_eq!(rig.get("/api/todos").await.status, 200);
    let refused = rig.call("POST", "/api/todos", json!({"text": "a"})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json()["title"].clone()),
        (403, json!("The list is read-only"))
    );
    let page = rig.get("/list").await.body;
    assert!(page.contains("The list is read-only") && !page.contains("/new\">New item</a></p>"));
}
