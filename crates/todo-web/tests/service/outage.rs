//! Outages and recoveries of the database.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use test_support::postgres::Server;
use todo_web::database::State;
use todo_web::settings::PostgresSettings;
use todo_web::store::{Access, Store as _, postgres::Postgres};

use crate::harness::{TestApp, conninfo};

fn up(state: &State) -> bool {
    matches!(state, State::Up(_))
}

fn down(state: &State) -> bool {
    matches!(state, State::Down(_))
}

#[tokio::test]
async fn service_starts_without_its_database_and_recovers_with_it() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::prepare(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(down).await;
    for path in ["/", "/list"] {
        let page = app.get(path).await;
        assert_eq!(
            (page.status.as_u16(), page.header("retry-after")),
            (503, "2")
        );
        assert!(
            page.body.contains("The list is unavailable"),
            "{}",
            page.body
        );
        assert!(
            !page.body.contains(&server.port.to_string()),
            "{}",
            page.body
        );
    }
    let problem = app.call("POST", "/api/todos", json!({"text": "a"})).await;
    assert_eq!(
        (problem.status.as_u16(), problem.header("retry-after")),
        (503, "2")
    );
    for (path, status) in [
        ("/livez", 200),
        ("/startupz", 200),
        ("/readyz", 503),
        ("/new", 200),
    ] {
        assert_eq!(app.get(path).await.status, status, "{path}");
    }
    let server = server.started();
    app.wait_for(up).await;
    assert_eq!(app.get("/readyz").await.status, 200);
    assert_eq!(
        app.call("POST", "/api/todos", json!({"text": "a"}))
            .await
            .status,
        201
    );
    assert_eq!(server.sql("SELECT count(*) FROM items"), "1");
}

#[tokio::test]
async fn strict_service_is_unready_without_its_database_and_degraded_service_is_not() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let strict = TestApp::postgres(&server, &["--ready=strict"]);
    let degraded = TestApp::postgres(&server, &["--ready=degraded"]);
    assert_eq!(
        degraded.get("/readyz").await.status,
        503,
        "no check has succeeded yet"
    );
    for app in [&strict, &degraded] {
        app.wait_for(up).await;
        assert_eq!(app.get("/readyz").await.status, 200);
    }
    server.stop();
    for (app, status) in [(&strict, 503), (&degraded, 200)] {
        assert_eq!(app.get("/list").await.status, 503);
        assert_eq!(app.get("/readyz").await.status, status);
        assert_eq!(app.get("/livez").await.status, 200);
    }
    let _server = server.started();
    for app in [&strict, &degraded] {
        app.wait_for(up).await;
        assert_eq!(app.get("/list").await.status, 200);
        assert_eq!(app.get("/readyz").await.status, 200);
    }
}

#[tokio::test]
async fn only_the_first_request_waits_for_a_hung_database() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(up).await;
    assert_eq!(app.get("/list").await.status, 200);
    server.freeze_sessions();
    assert_eq!(app.get("/list").await.status, 503);
    assert!(down(&app.database.state()));
    assert_eq!(app.get("/list").await.status, 503);
    server.thaw();
    app.wait_for(up).await;
    assert_eq!(app.get("/list").await.status, 200);
}

#[tokio::test]
async fn read_only_server_makes_the_list_read_only() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(up).await;
    server.sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'todo-web'");
    app.wait_for(|state| *state == State::Up(Access::ReadOnly))
        .await;
    let rejected = app.call("POST", "/api/todos", json!({"text": "a"})).await;
    assert_eq!(rejected.status, 403, "{}", rejected.body);
    let list = app.get("/list").await;
    assert!(list.status.is_success() && list.body.contains("The list is read-only"));
}

#[tokio::test]
async fn concurrent_replicas_create_one_schema() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let settings = PostgresSettings::parse(&conninfo(&server, "postgres")).unwrap();
    let starts = (0..16).map(|_| {
        let store = Arc::new(Postgres::new(&settings, 1, Duration::from_secs(30)).unwrap());
        tokio::spawn(async move { store.prepare().await })
    });
    for start in starts.collect::<Vec<_>>() {
        assert_eq!(start.await.unwrap(), Ok(Access::ReadWrite));
    }
    assert_eq!(server.sql("SELECT count(*) FROM schema_migrations"), "2");
}

#[tokio::test]
async fn concurrent_replicas_create_the_missing_database() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let conninfo = conninfo(&server, "postgres") + " dbname='to \"do\"'";
    let settings = PostgresSettings::parse(&conninfo).unwrap();
    let starts = (0..4).map(|_| {
        let store = Arc::new(Postgres::new(&settings, 1, Duration::from_secs(30)).unwrap());
        tokio::spawn(async move { store.prepare().await })
    });
    for start in starts.collect::<Vec<_>>() {
        assert_eq!(start.await.unwrap(), Ok(Access::ReadWrite));
    }
    let made = "SELECT count(*) FROM pg_database WHERE datname = 'to \"do\"'";
    assert_eq!(server.sql(made), "1");
}

#[tokio::test]
async fn role_without_the_right_to_create_the_database_has_an_error() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    server.sql("CREATE ROLE visitor LOGIN");
    let conninfo = conninfo(&server, "visitor") + " dbname=todo";
    let settings = PostgresSettings::parse(&conninfo).unwrap();
    let store = Postgres::new(&settings, 1, Duration::from_secs(30)).unwrap();
    let error = store.prepare().await.unwrap_err().to_string();
    assert!(
        error.contains("permission denied to create database"),
        "{error}"
    );
}

#[tokio::test]
async fn empty_server_gets_its_schema() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(up).await;
    server.sql("DROP TABLE items, schema_migrations");
    // The first request fails and starts the health check, which creates the schema.
    assert_eq!(app.get("/list").await.status, 503);
    app.wait_for(up).await;
    assert_eq!(app.get("/list").await.status, 200);
}
