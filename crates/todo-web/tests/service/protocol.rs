//! HTTP: entity tags, preconditions, idempotency keys, bodies, compression, path prefix, tokens.

use serde_json::json;
use test_support::postgres::Server;
use todo_web::database::State;

use crate::harness::{TOKEN, TestApp};

async fn patch(app: &TestApp, path: &str, if_match: &str, body: &str) -> crate::harness::Answer {
    let headers = [("content-type", "application/json"), ("if-match", if_match)];
    app.send("PATCH", path, &headers, body).await
}

#[tokio::test]
async fn change_with_an_outdated_entity_tag_is_rejected() {
    for app in both_stores().await.iter() {
        let added = app.call("POST", "/api/todos", json!({"text": "a"})).await;
        let (path, first) = (added.header("location"), added.header("etag"));
        assert_eq!(app.get(path).await.header("etag"), first);
        let changed = patch(app, path, first, r#"{"text": "b"}"#).await;
        assert_eq!(changed.status, 200, "{}", changed.body);
        let second = changed.header("etag");
        assert_ne!(first, second);
        for (tag, status) in [(first, 412), ("\"nope\"", 412), ("*", 200)] {
            assert_eq!(
                patch(app, path, tag, r#"{"done": true}"#).await.status,
                status,
                "{tag}"
            );
        }
        let outdated = app.send("DELETE", path, &[("if-match", second)], "").await;
        assert_eq!(outdated.status, 412);
        let current = app.get(path).await.header("etag").to_owned();
        let deleted = app
            .send("DELETE", path, &[("if-match", &current)], "")
            .await;
        assert_eq!(deleted.status, 204);
        assert_eq!(patch(app, path, &current, "{}").await.status, 404);
    }
}

#[tokio::test]
async fn client_with_the_current_entity_tag_receives_no_body() {
    let app = TestApp::sqlite(&[], &[]).await;
    app.call("POST", "/api/todos", json!({"text": "a"})).await;
    for path in ["/api/todos", "/api/todos/1", "/api/openapi.json"] {
        let first = app.get(path).await;
        assert_eq!(first.header("cache-control"), "private, no-cache", "{path}");
        let tag = first.header("etag");
        let known = app.send("GET", path, &[("if-none-match", tag)], "").await;
        assert_eq!(
            (known.status.as_u16(), known.body.as_str()),
            (304, ""),
            "{path}"
        );
        assert_eq!(known.header("etag"), tag, "{path}");
    }
    let tag = app.get("/api/todos").await.header("etag").to_owned();
    app.call("PATCH", "/api/todos/1", json!({"done": true}))
        .await;
    let changed = app
        .send("GET", "/api/todos", &[("if-none-match", &tag)], "")
        .await;
    assert_eq!(changed.status, 200);
}

/// Applications on SQLite and, if it is installed, on PostgreSQL.
struct Stores(Vec<TestApp>, Option<Server>);

impl Stores {
    fn iter(&self) -> impl Iterator<Item = &TestApp> {
        self.0.iter()
    }
}

async fn both_stores() -> Stores {
    let mut stores = Stores(vec![TestApp::sqlite(&[], &[]).await], None);
    if let Some(bin) = test_support::postgres::programs() {
        let server = Server::start(&bin, "");
        let app = TestApp::postgres(&server, &[]);
        app.wait_for(|state| matches!(state, State::Up(_))).await;
        stores.0.push(app);
        stores.1 = Some(server);
    }
    stores
}

#[tokio::test]
async fn idempotency_key_is_valid_for_one_text_while_its_item_exists() {
    for app in both_stores().await.iter() {
        let post = async |text: &str| {
            let headers = [
                ("content-type", "application/json"),
                ("idempotency-key", "k"),
            ];
            let body = json!({"text": text}).to_string();
            app.send("POST", "/api/todos", &headers, &body).await
        };
        let first = post("one").await;
        assert_eq!(first.status, 201);
        assert_eq!(post("two").await.status, 422);
        // The item's present text is not compared.
        let path = first.header("location");
        app.call("PATCH", path, json!({"text": "three"})).await;
        assert_eq!(post("one").await.status, 200);
        assert_eq!(post("three").await.status, 422);
        app.send("DELETE", path, &[], "").await;
        assert_eq!(post("two").await.status, 201);
    }
}

#[tokio::test]
async fn several_idempotency_keys_are_rejected() {
    let app = TestApp::sqlite(&[], &[]).await;
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "a"),
        ("idempotency-key", "b"),
    ];
    let answer = app
        .send("POST", "/api/todos", &headers, r#"{"text": "a"}"#)
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn body_that_is_not_an_object_is_rejected() {
    let app = TestApp::sqlite(&[], &[]).await;
    app.call("POST", "/api/todos", json!({"text": "a"})).await;
    for body in [json!(["milk"]), json!("milk"), json!(null), json!(1)] {
        let answer = app.call("POST", "/api/todos", body.clone()).await;
        assert_eq!(answer.status, 422, "{body}");
    }
    let answer = app
        .call("PATCH", "/api/todos/1", json!(["hijack", true]))
        .await;
    assert_eq!(answer.status, 422);
    assert_eq!(app.get("/api/todos/1").await.json()["text"], "a");
}

#[tokio::test]
async fn title_of_problem_details_is_the_phrase_of_the_status() {
    let app = TestApp::sqlite(&[], &[]).await;
    for (answer, title) in [
        (app.get("/api/todos/9").await, "Not Found"),
        (app.get("/api/todos?limit=0").await, "Bad Request"),
        (
            app.call("POST", "/api/todos", json!({})).await,
            "Unprocessable Entity",
        ),
        (
            app.send("PUT", "/api/todos", &[], "").await,
            "Method Not Allowed",
        ),
    ] {
        assert_eq!(answer.json()["title"], title);
        assert_eq!(answer.json()["type"], "about:blank");
    }
}

#[tokio::test]
async fn json_and_assets_are_compressed_and_pages_are_not() {
    let app = TestApp::sqlite(&[], &[]).await;
    for (path, encoding) in [
        ("/api/openapi.json", "gzip"),
        ("/assets/style.css", "gzip"),
        ("/list", ""),
    ] {
        let answer = app
            .send_raw("GET", path, &[("accept-encoding", "gzip")])
            .await;
        assert_eq!(answer.0, 200, "{path}");
        assert_eq!(
            answer
                .1
                .get("content-encoding")
                .map_or("", |value| value.to_str().unwrap()),
            encoding,
            "{path}"
        );
    }
}

#[tokio::test]
async fn links_and_redirects_have_the_path_prefix() {
    let forwarded = TestApp::sqlite(&[], &[]).await;
    let configured = TestApp::sqlite(&["--path-prefix=/todo"], &[]).await;
    for (app, header) in [
        (&forwarded, Some("/todo")),
        (&configured, None),
        (&configured, Some("//evil.example")),
    ] {
        let headers: Vec<_> = header
            .map(|prefix| ("x-forwarded-prefix", prefix))
            .into_iter()
            .collect();
        app.submit("/new", "text=a").await;
        for path in ["/", "/list", "/new", "/items/1/edit", "/nowhere"] {
            let page = app.send("GET", path, &headers, "").await;
            for attribute in ["href=\"/", "src=\"/", "action=\"/"] {
                for link in page.body.split(attribute).skip(1) {
                    assert!(link.starts_with("todo/"), "{path}: {attribute}{link}");
                }
            }
            assert!(page.header("set-cookie").contains("Path=/todo/;"), "{path}");
        }
        let cookie = format!("csrf={TOKEN}");
        let mut form = vec![
            ("cookie", cookie.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        form.extend(&headers);
        let added = app
            .send("POST", "/new", &form, &format!("csrf={TOKEN}&text=b"))
            .await;
        assert_eq!(added.header("location"), "/todo/list");
    }
}

#[tokio::test]
async fn form_with_another_token_keeps_its_text() {
    let app = TestApp::sqlite(&[], &[]).await;
    app.submit("/new", "text=old").await;
    let headers = [
        ("cookie", "csrf=ffffffffffffffffffffffffffffffff"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    for path in ["/new", "/items/1/edit"] {
        let body = format!("csrf={TOKEN}&text=typed+text");
        let rejected = app.send("POST", path, &headers, &body).await;
        assert_eq!(rejected.status, 403);
        assert!(
            rejected.body.contains("value=\"typed text\""),
            "{}",
            rejected.body
        );
        // The page has the current token, so it can be sent again.
        assert!(
            rejected
                .body
                .contains("value=\"ffffffffffffffffffffffffffffffff\"")
        );
        assert_eq!(rejected.header("set-cookie"), "");
    }
    // The form of another site has no cookie, and does not replace the one of open pages.
    let foreign = [("content-type", "application/x-www-form-urlencoded")];
    let rejected = app.send("POST", "/new", &foreign, "csrf=&text=a").await;
    assert_eq!(
        (rejected.status.as_u16(), rejected.header("set-cookie")),
        (403, "")
    );
}

#[tokio::test]
async fn edit_of_an_item_that_changed_in_the_meantime_shows_both_texts() {
    let app = TestApp::sqlite(&[], &[]).await;
    app.submit("/new", "text=old").await;
    let form = app.get("/items/1/edit").await.body;
    assert!(form.contains("name=\"version\" value=\"1\""), "{form}");
    app.call("PATCH", "/api/todos/1", json!({"text": "theirs"}))
        .await;
    let conflict = app.submit("/items/1/edit", "text=mine&version=1").await;
    assert_eq!(conflict.status, 409);
    for part in ["theirs", "value=\"mine\"", "name=\"version\" value=\"2\""] {
        assert!(conflict.body.contains(part), "{part}: {}", conflict.body);
    }
    assert_eq!(
        app.submit("/items/1/edit", "text=mine&version=2")
            .await
            .status,
        303
    );
    assert_eq!(app.get("/api/todos/1").await.json()["text"], "mine");
}

#[tokio::test]
async fn time_out_of_range_does_not_break_the_list_of_postgresql() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(|state| matches!(state, State::Up(_))).await;
    for time in ["infinity", "-infinity", "294000-01-01", "4000-01-01 BC"] {
        server.sql(&format!(
            "INSERT INTO items (text, created_at) VALUES ('odd', '{time}')"
        ));
        for path in ["/list", "/api/todos"] {
            let answer = app.get(path).await;
            assert_eq!(answer.status, 200, "{time} {path}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn unavailable_page_loads_itself_again() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::prepare(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(|state| matches!(state, State::Down(_))).await;
    let page = app.get("/list").await;
    assert_eq!(page.status, 503);
    assert!(
        page.body.contains("http-equiv=\"refresh\""),
        "{}",
        page.body
    );
    let form = app.submit("/new", "text=a").await;
    assert!(
        !form.body.contains("http-equiv"),
        "a form must not be sent again"
    );
}
