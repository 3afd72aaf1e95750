//! Pages and forms.

use crate::harness::{TOKEN, TestApp};

#[tokio::test]
async fn item_is_added_edited_completed_and_deleted_by_forms() {
    let app = TestApp::sqlite(&[], &[]).await;
    let added = app.submit("/new", "text=buy+milk").await;
    assert_eq!(
        (added.status.as_u16(), added.header("location")),
        (303, "/list")
    );
    assert!(app.get("/list").await.body.contains("buy milk"));
    assert!(
        app.get("/")
            .await
            .body
            .contains("<strong>1</strong> to do, 1 in all.")
    );
    assert!(
        app.get("/items/1/edit")
            .await
            .body
            .contains("value=\"buy milk\"")
    );
    assert_eq!(app.submit("/items/1/edit", "text=bread").await.status, 303);
    assert_eq!(app.submit("/items/1/done", "done=true").await.status, 303);
    let list = app.get("/list").await.body;
    assert!(
        list.contains("bread") && list.contains("<li class=\"done\">") && !list.contains("milk")
    );
    assert!(
        app.get("/")
            .await
            .body
            .contains("<strong>0</strong> to do, 1 in all.")
    );
    assert_eq!(app.submit("/items/1/delete", "").await.status, 303);
    assert!(
        app.get("/list")
            .await
            .body
            .contains("There is nothing here yet.")
    );
    assert_eq!(app.submit("/items/1/done", "done=true").await.status, 404);
    // A second click on the same button succeeds.
    assert_eq!(app.submit("/items/1/delete", "").await.status, 303);
}

#[tokio::test]
async fn deletion_can_be_undone_from_the_list() {
    let app = TestApp::sqlite(&[], &[]).await;
    app.submit("/new", "text=%22milk%22%3B+%C3%A9").await;
    app.submit("/items/1/done", "").await;
    let deleted = app.submit("/items/1/delete", "").await;
    assert_eq!(deleted.status, 303);
    let cookie = deleted.header("set-cookie").split(';').next().unwrap();
    let list = app.send("GET", "/list", &[("cookie", cookie)], "").await;
    assert!(
        list.body
            .contains("name=\"text\" value=\"&#34;milk&#34;; é\""),
        "{}",
        list.body
    );
    let cookies: Vec<_> = list.headers.get_all("set-cookie").iter().collect();
    assert!(cookies.iter().any(|cookie| {
        let cookie = cookie.to_str().unwrap();
        cookie.starts_with("undo=;") && cookie.contains("Max-Age=0")
    }));
    let undone = app
        .submit("/new", "text=%22milk%22%3B+%C3%A9&done=true")
        .await;
    assert_eq!(undone.status, 303);
    let item = &app.get("/api/todos").await.json()["items"][0];
    assert_eq!(
        (&item["text"], &item["done"]),
        (&"\"milk\"; é".into(), &true.into())
    );
}

#[tokio::test]
async fn form_that_is_sent_twice_adds_one_item() {
    let app = TestApp::sqlite(&[], &[]).await;
    let key = "text=a&key=6f1f7a52-0b61-4f6a-9f2c-0a8f6c0d4f11";
    for _ in 0..2 {
        assert_eq!(app.submit("/new", key).await.status, 303);
    }
    assert!(app.get("/").await.body.contains("1 in all."));
    // A value that is not one of the service's keys is ignored.
    for _ in 0..2 {
        app.submit("/new", "text=b&key=x").await;
    }
    assert!(app.get("/").await.body.contains("3 in all."));
}

#[tokio::test]
async fn invalid_text_is_returned_with_an_error() {
    let app = TestApp::sqlite(&[], &[]).await;
    let refused = app
        .submit("/new", "text=+&key=6f1f7a52-0b61-4f6a-9f2c-0a8f6c0d4f11")
        .await;
    assert_eq!(refused.status, 422);
    for part in [
        "the text is empty",
        "aria-invalid=\"true\"",
        "aria-describedby=\"text-error\"",
        "value=\"6f1f7a52-0b61-4f6a-9f2c-0a8f6c0d4f11\"",
    ] {
        assert!(refused.body.contains(part), "{part}: {}", refused.body);
    }
    app.submit("/new", "text=a").await;
    let long = format!("text={}", "%C3%A9".repeat(257));
    assert_eq!(app.submit("/items/1/edit", &long).await.status, 422);
}

#[tokio::test]
async fn form_of_another_site_changes_nothing() {
    let app = TestApp::sqlite(&[], &[]).await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let cookie = format!("csrf={TOKEN}");
    let other = format!("csrf={}", "f".repeat(32));
    for (cookie, fields) in [
        (None, format!("csrf={TOKEN}&text=a")),
        (Some(cookie.as_str()), "text=a".to_owned()),
        (Some(&cookie), "csrf=&text=a".to_owned()),
        (Some(&other), format!("csrf={TOKEN}&text=a")),
        (Some("csrf="), "csrf=&text=a".to_owned()),
        (Some("csrf=<script>"), "csrf=<script>&text=a".to_owned()),
    ] {
        for path in ["/new", "/items/1/edit", "/items/1/done", "/items/1/delete"] {
            let headers: Vec<_> = cookie
                .map(|cookie| ("cookie", cookie))
                .into_iter()
                .chain([form])
                .collect();
            let answer = app.send("POST", path, &headers, &fields).await;
            assert_eq!(answer.status, 403, "{path} {cookie:?} {fields}");
        }
    }
    assert!(app.get("/").await.body.contains("0 in all."));
}

#[tokio::test]
async fn forms_repeat_the_token_of_the_cookie() {
    let app = TestApp::sqlite(&[], &[]).await;
    let first = app.get("/new").await;
    let cookie = first.header("set-cookie").to_owned();
    let token = cookie
        .strip_prefix("csrf=")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"));
    assert!(
        first
            .body
            .contains(&format!("name=\"csrf\" value=\"{token}\""))
    );
    let again = app
        .send("GET", "/new", &[("cookie", &format!("csrf={token}"))], "")
        .await;
    assert_eq!(again.header("set-cookie"), "");
    assert!(
        again
            .body
            .contains(&format!("name=\"csrf\" value=\"{token}\""))
    );
}

#[tokio::test]
async fn texts_are_escaped() {
    let app = TestApp::sqlite(&[], &[("BannerMessage", "<b>hi</b>")]).await;
    app.submit("/new", "text=%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%27%26")
        .await;
    for path in ["/list", "/items/1/edit"] {
        let page = app.get(path).await.body;
        assert!(
            !page.contains("<script>alert") && !page.contains("<b>hi"),
            "{page}"
        );
        assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
    }
}

#[tokio::test]
async fn unknown_path_and_method_have_a_page() {
    let app = TestApp::sqlite(&[], &[]).await;
    for (method, path, status, allowed) in [
        ("GET", "/nowhere", 404, ""),
        ("GET", "/items/x/edit", 404, ""),
        ("GET", "/items/99999999999999999999/edit", 404, ""),
        ("GET", "/items/1/done", 405, "POST"),
        ("DELETE", "/list", 405, "GET,HEAD"),
    ] {
        let answer = app.send(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        assert!(answer.body.contains("<h1>Not"), "{}", answer.body);
    }
    let long = app
        .submit("/new", &format!("text={}", "x".repeat(80_000)))
        .await;
    assert_eq!(long.status, 413);
    assert!(long.body.contains("<h1>"), "{}", long.body);
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let app = TestApp::sqlite(&[], &[]).await;
    for path in [
        "/",
        "/list",
        "/new",
        "/api/todos",
        "/livez",
        "/assets/app.js",
        "/nowhere",
    ] {
        let (head, get) = (app.send("HEAD", path, &[], "").await, app.get(path).await);
        assert_eq!(
            (head.status, head.body.as_str()),
            (get.status, ""),
            "{path}"
        );
        let kind = "content-type";
        assert_eq!(head.header(kind), get.header(kind), "{path}");
    }
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let app = TestApp::sqlite(&[], &[]).await;
    for path in [
        "/",
        "/list",
        "/new",
        "/nowhere",
        "/api/todos",
        "/assets/app.js",
        "/livez",
    ] {
        let answer = app.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{path}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
        let cached = path.starts_with("/assets/");
        assert_eq!(
            answer.header("cache-control").contains("max-age"),
            cached,
            "{path}"
        );
    }
}

#[tokio::test]
async fn settings_page_is_optional_and_masks_secrets() {
    let app = TestApp::sqlite(&[], &[]).await;
    assert_eq!(app.get("/config").await.status, 404);
    let environment = [
        ("ConfigController__Enabled", "true"),
        ("ConnectionStrings__ToDoDb", "Filename=unseen"),
        ("Database__Provider", "Sqlite"),
    ];
    let app = TestApp::sqlite(&[], &environment).await;
    let page = app.get("/config").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("ConnectionStrings:ToDoDb") && page.body.contains("********"));
    assert!(!page.body.contains("unseen"));
    let diagnostics = app.get("/diagnostics").await.body;
    assert!(diagnostics.contains("Sqlite") && diagnostics.contains("available (ReadWrite)"));
}

#[tokio::test]
async fn metrics_are_optional() {
    let app = TestApp::sqlite(&[], &[]).await;
    app.get("/list").await;
    let metrics = app.get("/metrics").await.body;
    for part in [
        "todo_database_up 1\n",
        "todo_queries_total{operation=\"list\",outcome=\"ok\"} 1\n",
        "todo_database_connections 2\n",
        "http_requests_total{",
    ] {
        assert!(metrics.contains(part), "{part}: {metrics}");
    }
    let app = TestApp::sqlite(&[], &[("Metrics__Enabled", "false")]).await;
    assert_eq!(app.get("/metrics").await.status, 404);
}
