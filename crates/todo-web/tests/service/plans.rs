//! Prepared statements that the server no longer accepts: connections are replaced, and no request fails.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::json;
use test_support::postgres::Server;
use todo_web::database::State;

use crate::harness::TestApp;

fn up(state: &State) -> bool {
    matches!(state, State::Up(_))
}

async fn statuses(app: &TestApp, requests: usize) -> Vec<u16> {
    let get = async || app.get("/api/todos").await.status.as_u16();
    join_all((0..requests).map(|_| get())).await
}

async fn add(app: &TestApp, text: &str) -> u16 {
    let answer = app.call("POST", "/api/todos", json!({"text": text})).await;
    answer.status.as_u16()
}

/// Changes the type of `text` back and forth between these.
const TYPES: [&str; 2] = ["varchar(300)", "text"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_survives_a_column_that_changes_its_type() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &["--ready=strict"]);
    app.wait_for(up).await;
    assert_eq!(add(&app, "first").await, 201);
    for kind in TYPES.iter().cycle().take(6) {
        assert_eq!(
            statuses(&app, 16).await,
            [200; 16],
            "every connection has prepared the statement"
        );
        server.sql(&format!("ALTER TABLE items ALTER COLUMN text TYPE {kind}"));
        assert_eq!(statuses(&app, 16).await, [200; 16], "{kind}");
        // A change whose statement is rejected was not made, and is made once.
        assert_eq!(add(&app, kind).await, 201);
        assert_eq!(app.get("/readyz").await.status, 200);
    }
    assert_eq!(server.sql("SELECT count(*) FROM items"), "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_survive_a_column_that_changes_its_type() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = Arc::new(TestApp::postgres(&server, &[]));
    app.wait_for(up).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (app, stop) = (app.clone(), stop.clone());
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !stop.is_cancelled() {
                    let answer = app.get("/api/todos").await;
                    if answer.status == 500 {
                        failed.push(answer.body);
                    }
                }
                failed
            })
        })
        .collect();
    for kind in TYPES.iter().cycle().take(10) {
        assert_eq!(statuses(&app, 4).await, [200; 4]);
        server.sql(&format!("ALTER TABLE items ALTER COLUMN text TYPE {kind}"));
    }
    stop.cancel();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), [] as [String; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_survives_statements_that_the_server_lost() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(up).await;
    // Each insertion removes the statements of its connection, as a pooler's change of connections does.
    server.sql(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN NULL; END $$",
    );
    server.sql("CREATE TRIGGER lose AFTER INSERT ON items EXECUTE FUNCTION lose()");
    for round in 0..5 {
        assert_eq!(statuses(&app, 8).await, [200; 8], "round {round}");
        assert_eq!(add(&app, "a").await, 201, "round {round}");
    }
    assert_eq!(server.sql("SELECT count(*) FROM items"), "5");
}

#[tokio::test]
async fn table_that_cannot_be_read_makes_a_strict_service_unready() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &["--ready=strict"]);
    app.wait_for(up).await;
    server.sql("ALTER TABLE items RENAME COLUMN done TO finished");
    app.wait_for(|state| matches!(state, State::Down(_))).await;
    assert_eq!(app.get("/readyz").await.status, 503);
    server.sql("ALTER TABLE items RENAME COLUMN finished TO done");
    app.wait_for(up).await;
    assert_eq!(app.get("/readyz").await.status, 200);
    assert_eq!(statuses(&app, 1).await, [200]);
}
