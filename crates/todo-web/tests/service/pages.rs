//! The list for people.

use crate::rig::{Rig, TOKEN};

#[tokio::test]
async fn an_item_is_added_edited_done_and_deleted_by_forms() {
    let rig = Rig::sqlite(&[], &[]).await;
    let added = rig.submit("/new", "text=buy+milk").await;
    assert_eq!(
        (added.status.as_u16(), added.header("location")),
        (303, "/list")
    );
    assert!(rig.get("/list").await.body.contains("buy milk"));
    assert!(
        rig.get("/")
            .await
            .body
            .contains("<strong>1</strong> to do, 1 in all.")
    );
    assert!(
        rig.get("/items/1/edit")
            .await
            .body
            .contains("value=\"buy milk\"")
    );
    assert_eq!(rig.submit("/items/1/edit", "text=bread").await.status, 303);
    assert_eq!(rig.submit("/items/1/done", "done=true").await.status, 303);
    let list = rig.get("/list").await.body;
    assert!(
        list.contains("bread") && list.contains("<li class=\"done\">") && !list.contains("milk")
    );
    assert!(
        rig.get("/")
            .await
            .body
            .contains("<strong>0</strong> to do, 1 in all.")
    );
    assert_eq!(rig.submit("/items/1/delete", "").await.status, 303);
    assert!(
        rig.get("/list")
            .await
            .body
            .contains("There is nothing here yet.")
    );
    assert_eq!(rig.submit("/items/1/done", "done=true").await.status, 404);
    // A second press of the same button is no failure.
    assert_eq!(rig.submit("/items/1/delete", "").await.status, 303);
}

#[tokio::test]
async fn a_form_that_is_sent_twice_adds_one_item() {
    let rig = Rig::sqlite(&[], &[]).await;
    let key = "text=a&key=6f1f7a52-0b61-4f6a-9f2c-0a8f6c0d4f11";
    for _ in 0..2 {
        assert_eq!(rig.submit("/new", key).await.status, 303);
    }
    assert!(rig.get("/").await.body.contains("1 in all."));
    // What is no key of ours is none.
    for _ in 0..2 {
        rig.submit("/new", "text=b&key=x").await;
    }
    assert!(rig.get("/").await.body.contains("3 in all."));
}

#[tokio::test]
async fn a_text_that_is_none_comes_back_with_a_word_about_it() {
    let rig = Rig::sqlite(&[], &[]).await;
    let refused = rig
        .submit("/new", "text=+&key=6f1f7a52-0b61-4f6a-9f2c-0a8f6c0d4f11")
        .await;
    assert_eq!(refused.status, 422);
    for part in [
        "say what is to be done",
        "aria-invalid=\"true\"",
        "aria-describedby=\"text-error\"",
        "value=\"6f1f7a52-0b61-4f6a-9f2c-0a8f6c0d4f11\"",
    ] {
        assert!(refused.body.contains(part), "{part}: {}", refused.body);
    }
    rig.submit("/new", "text=a").await;
    let long = format!("text={}", "%C3%A9".repeat(257));
    assert_eq!(rig.submit("/items/1/edit", &long).await.status, 422);
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let rig = Rig::sqlite(&[], &[]).await;
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
            let answer = rig.send("POST", path, &headers, &fields).await;
            assert_eq!(answer.status, 403, "{path} {cookie:?} {fields}");
        }
    }
    assert!(rig.get("/").await.body.contains("0 in all."));
}

#[tokio::test]
async fn a_visitor_gets_a_cookie_that_the_forms_repeat() {
    let rig = Rig::sqlite(&[], &[]).await;
    let first = rig.get("/new").await;
    let cookie = first.header("set-cookie").to_owned();
    let token = cookie
        .strip_prefix("csrf=")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"));
    assert!(
        first
            .body
            .contains(&format!("name=\"csrf\" value=\"{token}\""))
    );
    let again = rig
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
async fn what_somebody_wrote_is_text_and_nothing_else() {
    let rig = Rig::sqlite(&[], &[("BannerMessage", "<b>hi</b>")]).await;
    rig.submit("/new", "text=%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%27%26")
        .await;
    for path in ["/list", "/items/1/edit"] {
        let page = rig.get(path).await.body;
        assert!(
            !page.contains("<script>alert") && !page.contains("<b>hi"),
            "{page}"
        );
        assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_done_is_said_on_a_page() {
    let rig = Rig::sqlite(&[], &[]).await;
    for (method, path, status, allowed) in [
        ("GET", "/nowhere", 404, ""),
        ("GET", "/items/x/edit", 404, ""),
        ("GET", "/items/99999999999999999999/edit", 404, ""),
        ("GET", "/items/1/done", 405, "POST"),
        ("DELETE", "/list", 405, "GET,HEAD"),
    ] {
        let answer = rig.send(method, path, &[], "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
        assert!(answer.body.contains("<h1>Not"), "{}", answer.body);
    }
    let long = rig
        .submit("/new", &format!("text={}", "x".repeat(80_000)))
        .await;
    assert_eq!(long.status, 413);
    assert!(long.body.contains("<h1>"), "{}", long.body);
}

#[tokio::test]
async fn head_is_get_without_the_page() {
    let rig = Rig::sqlite(&[], &[]).await;
    for path in [
        "/",
        "/list",
        "/new",
        "/api/todos",
        "/livez",
        "/assets/app.js",
        "/nowhere",
    ] {
        let (head, get) = (rig.send("HEAD", path, &[], "").await, rig.get(path).await);
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
async fn every_answer_keeps_to_itself() {
    let rig = Rig::sqlite(&[], &[]).await;
    for path in [
        "/",
        "/list",
        "/new",
        "/nowhere",
        "/api/todos",
        "/assets/app.js",
        "/livez",
    ] {
        let answer = rig.get(path).await;
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
async fn the_settings_are_shown_only_if_asked_for_and_never_a_secret() {
    let rig = Rig::sqlite(&[], &[]).await;
    assert_eq!(rig.get("/config").await.status, 404);
    let environment = [
        ("ConfigController__Enabled", "true"),
        ("ConnectionStrings__ToDoDb", "Filename=unseen"),
        ("Database__Provider", "Sqlite"),
    ];
    let rig = Rig::sqlite(&[], &environment).await;
    let page = rig.get("/config").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("ConnectionStrings:ToDoDb") && page.body.contains("********"));
    assert!(!page.body.contains("unseen"));
    let diagnostics = rig.get("/diagnostics").await.body;
    assert!(diagnostics.contains("Sqlite") && diagnostics.contains("answers (ReadWrite)"));
}

#[tokio::test]
async fn metrics_are_there_unless_they_are_not_wanted() {
    let rig = Rig::sqlite(&[], &[]).await;
    rig.get("/list").await;
    let metrics = rig.get("/metrics").await.body;
    for part in [
        "todo_database_up 1\n",
        "todo_queries_total{operation=\"list\",outcome=\"ok\"} 1\n",
        "todo_database_connections 1\n",
        "http_requests_total{",
    ] {
        assert!(metrics.contains(part), "{part}: {metrics}");
    }
    let rig = Rig::sqlite(&[], &[("Metrics__Enabled", "false")]).await;
    assert_eq!(rig.get("/metrics").await.status, 404);
}
