//! The database goes away and comes back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use test_support::postgres::Server;
use todo_web::database::State;
use todo_web::settings::PostgresSettings;
use todo_web::store::{Access, Store as _, postgres::Postgres};

use crate::rig::{Rig, conninfo};

fn up(state: &State) -> bool {
    matches!(state, State::Up(_))
}

fn down(state: &State) -> bool {
    matches!(state, State::Down(_))
}

#[tokio::test]
async fn it_starts_without_its_database_says_so_and_comes_back_with_it() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::prepare(&bin, "");
    let rig = Rig::postgres(&server, &[]);
    rig.until(down).await;
    for path in ["/", "/list"] {
        let page = rig.get(path).await;
        assert_eq!(
            (page.status.as_u16(), page.header("retry-after")),
            (503, "2")
        );
        assert!(
            page.body.contains("The list cannot be reached right now"),
            "{}",
            page.body
        );
        assert!(
            !page.body.contains(&server.port.to_string()),
            "{}",
            page.body
        );
    }
    let problem = rig.call("POST", "/api/todos", json!({"text": "a"})).await;
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
        assert_eq!(rig.get(path).await.status, status, "{path}");
    }
    let server = server.started();
    rig.until(up).await;
    assert_eq!(rig.get("/readyz").await.status, 200);
    assert_eq!(
        rig.call("POST", "/api/todos", json!({"text": "a"}))
            .await
            .status,
        201
    );
    assert_eq!(server.sql("SELECT count(*) FROM items"), "1");
}

#[tokio::test]
async fn a_strict_service_is_unready_without_its_database_and_a_degraded_one_is_not() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let strict = Rig::postgres(&server, &["--ready=strict"]);
    let degraded = Rig::postgres(&server, &["--ready=degraded"]);
    assert_eq!(
        degraded.get("/readyz").await.status,
        503,
        "it has not answered yet"
    );
    for rig in [&strict, &degraded] {
        rig.until(up).await;
        assert_eq!(rig.get("/readyz").await.status, 200);
    }
    server.stop();
    for (rig, status) in [(&strict, 503), (&degraded, 200)] {
        assert_eq!(rig.get("/list").await.status, 503);
        assert_eq!(rig.get("/readyz").await.status, status);
        assert_eq!(rig.get("/livez").await.status, 200);
    }
    let _server = server.started();
    for rig in [&strict, &degraded] {
        rig.until(up).await;
        assert_eq!(rig.get("/list").await.status, 200);
        assert_eq!(rig.get("/readyz").await.status, 200);
    }
}

#[tokio::test]
async fn a_database_that_hangs_costs_one_request_its_limit_and_the_next_ones_nothing() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let rig = Rig::postgres(&server, &[]);
    rig.until(up).await;
    assert_eq!(rig.get("/list").await.status, 200);
    server.freeze_sessions();
    assert_eq!(rig.get("/list").await.status, 503);
    assert!(down(&rig.database.state()));
    assert_eq!(rig.get("/list").await.status, 503);
    server.thaw();
    rig.until(up).await;
    assert_eq!(rig.get("/list").await.status, 200);
}

#[tokio::test]
async fn a_server_that_turns_read_only_makes_the_list_read_only() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let rig = Rig::postgres(&server, &[]);
    rig.until(up).await;
    server.sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'todo-web'");
    rig.until(|state| *state == State::Up(Access::ReadOnly))
        .await;
    let refused = rig.call("POST", "/api/todos", json!({"text": "a"})).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    let list = rig.get("/list").await;
    assert!(list.status.is_success() && list.body.contains("The list is read-only"));
}

#[tokio::test]
async fn many_replicas_that_start_at_once_make_one_schema() {
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
    assert_eq!(server.sql("SELECT count(*) FROM schema_migrations"), "1");
}

#[tokio::test]
async fn many_replicas_make_a_database_that_is_not_there_as_the_original_does() {
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
async fn a_role_that_may_not_make_the_database_is_told_and_serves_without_it() {
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
async fn a_server_that_comes_back_empty_gets_its_schema_anew() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let rig = Rig::postgres(&server, &[]);
    rig.until(up).await;
    server.sql("DROP TABLE items, schema_migrations");
    // The first to meet it has bad luck; the watch makes the schema, and the next does not.
    assert_eq!(rig.get("/list").await.status, 503);
    rig.until(up).await;
    assert_eq!(rig.get("/list").await.status, 200);
}
