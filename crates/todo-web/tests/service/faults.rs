//! Databases that are killed, slow, overloaded, full or hung: each fault has a response of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use test_support::postgres::Server;
use todo_web::database::State;
use todo_web::settings::PostgresSettings;
use tokio::sync::watch;
use tokio_postgres::NoTls;

use crate::harness::{Answer, TestApp, conninfo};
use crate::tmpfs::Tmpfs;

fn up(state: &State) -> bool {
    matches!(state, State::Up(_))
}

fn down(state: &State) -> bool {
    matches!(state, State::Down(_))
}

async fn add(app: &TestApp, text: &str, key: &str) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    let body = json!({"text": text}).to_string();
    app.send("POST", "/api/todos", &headers, &body).await
}

#[track_caller]
fn assert_retryable(answer: &Answer, why: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (503, "2"),
        "{}",
        answer.body
    );
    assert!(answer.body.contains(why), "{}", answer.body);
}

/// Sends an item until it is acknowledged; returns its id.
async fn add_until_acknowledged(app: &TestApp, key: &str) -> i64 {
    loop {
        let answer = add(app, key, key).await;
        if answer.status.is_success() {
            return answer.json()["id"].as_i64().unwrap();
        }
        assert_retryable(&answer, "database");
        app.wait_for(up).await;
    }
}

/// Writers that add items until they are stopped, and the items that were acknowledged.
struct Load {
    stop: watch::Sender<bool>,
    added: Arc<AtomicUsize>,
    progress: watch::Sender<usize>,
    writers: Vec<tokio::task::JoinHandle<Vec<(String, i64)>>>,
}

impl Load {
    fn start(app: &Arc<TestApp>, writers: usize) -> Self {
        let (stop, progress) = (watch::Sender::new(false), watch::Sender::new(0));
        let added = Arc::new(AtomicUsize::new(0));
        let writers = (0..writers).map(|writer| {
            let (app, stop, added, progress) = (
                app.clone(),
                stop.subscribe(),
                added.clone(),
                progress.clone(),
            );
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                while !*stop.borrow() {
                    let key = format!("{writer}-{}", acknowledged.len());
                    let id = add_until_acknowledged(&app, &key).await;
                    acknowledged.push((key, id));
                    progress.send_replace(added.fetch_add(1, Ordering::Relaxed) + 1);
                }
                acknowledged
            })
        });
        let writers = writers.collect();
        Self {
            stop,
            added,
            progress,
            writers,
        }
    }

    /// Waits for a number of further items.
    async fn wait_for_more(&self, items: usize) {
        let wanted = self.added.load(Ordering::Relaxed) + items;
        let _ = self
            .progress
            .subscribe()
            .wait_for(|added| *added >= wanted)
            .await;
    }

    /// Stops the writers; returns the acknowledged items by key.
    async fn stop(self) -> BTreeMap<String, i64> {
        self.stop.send_replace(true);
        let mut all = BTreeMap::new();
        for writer in self.writers {
            all.extend(writer.await.unwrap());
        }
        all
    }
}

/// Items of the database by key.
fn items(server: &Server) -> BTreeMap<String, i64> {
    let rows = server
        .sql("SELECT coalesce(json_agg(json_build_array(idempotency_key, id)), '[]') FROM items");
    let rows: Vec<(String, i64)> = serde_json::from_str(&rows).unwrap();
    let found: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(found.len(), rows.len(), "an item was added twice");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_items_survive_twenty_kills_of_the_server_and_none_is_added_twice() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = Arc::new(TestApp::postgres(&server, &[]));
    app.wait_for(up).await;
    let load = Load::start(&app, 4);
    for _ in 0..20 {
        load.wait_for_more(20).await;
        // The writers run on the other thread.
        tokio::task::block_in_place(|| {
            server.kill();
            server.start_again();
        });
    }
    load.wait_for_more(20).await;
    let acknowledged = load.stop().await;
    assert!(acknowledged.len() >= 21 * 20);
    assert_eq!(items(&server), acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_session_loses_no_acknowledged_item() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = Arc::new(TestApp::postgres(&server, &[]));
    app.wait_for(up).await;
    let load = Load::start(&app, 4);
    for _ in 0..3 {
        load.wait_for_more(20).await;
        let session =
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'todo-web' LIMIT 1";
        let session = Pid::from_raw(server.sql(session).parse().unwrap());
        // The server terminates all sessions and recovers.
        kill(session, Signal::SIGKILL).unwrap();
        app.wait_for(down).await;
        app.wait_for(up).await;
    }
    load.wait_for_more(20).await;
    let acknowledged = load.stop().await;
    assert_eq!(items(&server), acknowledged);
}

#[tokio::test]
async fn slow_statement_is_cancelled_and_changes_nothing() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(up).await;
    server.sql(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1000); RETURN NEW; END';
         CREATE TRIGGER dawdle BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION dawdle()",
    );
    let slow = add(&app, "a", "once").await;
    assert_retryable(&slow, "too busy");
    let page = app
        .submit(
            "/new",
            "text=buy+milk&key=6f1f7a52-0b61-4f6a-9f2c-0a8f6c0d4f11",
        )
        .await;
    assert_retryable(&page, "too busy");
    // The page has the text, and its key: sent again, the item is added once.
    for part in [
        "value=\"buy milk\"",
        "value=\"6f1f7a52-0b61-4f6a-9f2c-0a8f6c0d4f11\"",
    ] {
        assert!(page.body.contains(part), "{}", page.body);
    }
    assert!(up(&app.database.state()), "other requests are served");
    assert_eq!(app.get("/api/todos").await.json()["items"], json!([]));
    server.sql("DROP TRIGGER dawdle ON items");
    assert_eq!(add(&app, "a", "once").await.status, 201);
}

#[tokio::test]
async fn wait_for_a_lock_is_limited() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(up).await;
    let other = client(&conninfo(&server, "postgres")).await;
    other
        .batch_execute("BEGIN; LOCK TABLE items")
        .await
        .unwrap();
    assert_retryable(&app.get("/list").await, "too busy");
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(app.get("/list").await.status, 200);
}

async fn client(conninfo: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(conninfo, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Creates a role with a connection limit, and its database; returns the connection string.
fn create_limited_role(server: &Server, connections: u8) -> String {
    server.sql(&format!(
        "CREATE ROLE visitor LOGIN CONNECTION LIMIT {connections}"
    ));
    server.sql("CREATE DATABASE todo OWNER visitor");
    conninfo(server, "visitor") + " dbname=todo"
}

#[tokio::test]
async fn server_with_fewer_connections_than_the_pool_serves_all_requests() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let settings = PostgresSettings::parse(&create_limited_role(&server, 2)).unwrap();
    let app = TestApp::postgres_with(&settings, &[]);
    app.wait_for(up).await;
    let keys: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let answers = join_all(keys.iter().map(|key| add(&app, key, key))).await;
    for answer in answers {
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    assert!(up(&app.database.state()));
}

#[tokio::test]
async fn service_waits_for_a_server_without_free_connections() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let conninfo = create_limited_role(&server, 1);
    let other = client(&conninfo).await;
    let app = TestApp::postgres_with(&PostgresSettings::parse(&conninfo).unwrap(), &[]);
    app.wait_for(|state| matches!(state, State::Down(why) if why.contains("too many connections")))
        .await;
    assert_retryable(&app.get("/list").await, "does not answer");
    drop(other);
    app.wait_for(up).await;
    assert_eq!(app.get("/list").await.status, 200);
}

#[tokio::test]
async fn server_that_accepts_and_does_not_respond_is_detected() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    server.freeze();
    let app = TestApp::postgres(&server, &[]);
    assert_retryable(&app.get("/list").await, "does not answer");
    app.wait_for(down).await;
    assert_retryable(&app.get("/list").await, "does not answer");
    server.thaw();
    app.wait_for(up).await;
    assert_eq!(app.get("/list").await.status, 200);
}

#[tokio::test]
async fn concurrent_requests_are_answered_when_the_server_hangs() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(up).await;
    assert_eq!(add_until_acknowledged(&app, "before").await, 1);
    server.freeze_sessions();
    let keys: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    for answer in join_all(keys.iter().map(|key| add(&app, key, key))).await {
        assert_retryable(&answer, "database");
    }
    server.thaw();
    app.wait_for(up).await;
    // Some may have been added; with its key none is added twice.
    let mut expected = BTreeMap::from([("before".to_owned(), 1)]);
    for key in keys {
        let id = add_until_acknowledged(&app, &key).await;
        expected.insert(key, id);
    }
    assert_eq!(items(&server), expected);
}

/// Adds items until the disk is full, then enlarges it.
async fn fill_and_enlarge_disk(app: &TestApp, tmpfs: &Tmpfs) {
    let long = "x".repeat(256);
    let mut added = 0;
    let full = loop {
        let answer = add(app, &long, &format!("{added}")).await;
        if answer.status != 201 {
            break answer;
        }
        added += 1;
    };
    assert_eq!(full.status, 507, "{}", full.body);
    assert_eq!(full.json()["title"], "Insufficient Storage");
    assert!(up(&app.database.state()));
    let page = app.submit("/new", &format!("text={long}")).await;
    assert!(
        page.status == 507 && page.body.contains(&long),
        "{}",
        page.body
    );
    assert_eq!(app.get("/list").await.status, 200, "items can be read");
    tmpfs.grow(16 * 1024);
    assert_eq!(add(app, &long, &format!("{added}")).await.status, 201);
    let deleted = app.send("DELETE", "/api/todos/1", &[], "").await;
    assert_eq!(deleted.status, 204);
    let all: Value = app.get("/api/todos?limit=1000").await.json();
    assert_eq!(
        all["items"].as_array().unwrap().len(),
        added.min(1000),
        "one was deleted, one was added"
    );
}

#[tokio::test]
async fn full_disk_of_the_server_is_reported_and_loses_nothing() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let Some(tmpfs) = Tmpfs::new(256) else {
        return;
    };
    let server = Server::start(&bin, "");
    let app = TestApp::postgres(&server, &[]);
    app.wait_for(up).await;
    let dir = tmpfs.dir_of_server("tablespace");
    server.sql(&format!(
        "CREATE TABLESPACE tiny LOCATION '{}'",
        dir.display()
    ));
    server.sql("ALTER TABLE items SET TABLESPACE tiny");
    fill_and_enlarge_disk(&app, &tmpfs).await;
}

#[tokio::test]
async fn full_disk_of_the_sqlite_file_is_reported_and_loses_nothing() {
    let Some(tmpfs) = Tmpfs::new(512) else {
        return;
    };
    let app = TestApp::sqlite_in(tmpfs.path()).await;
    fill_and_enlarge_disk(&app, &tmpfs).await;
}
