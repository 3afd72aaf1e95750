//! Databases that are killed, slow, crowded, full or silent: each fault has its own answer.

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

use crate::rig::{Answer, Rig, conninfo};
use crate::tmpfs::Tmpfs;

fn up(state: &State) -> bool {
    matches!(state, State::Up(_))
}

fn down(state: &State) -> bool {
    matches!(state, State::Down(_))
}

async fn add(rig: &Rig, text: &str, key: &str) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    let body = json!({"text": text}).to_string();
    rig.send("POST", "/api/todos", &headers, &body).await
}

#[track_caller]
fn is_told_to_come_again(answer: &Answer, why: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (503, "2"),
        "{}",
        answer.body
    );
    assert!(answer.body.contains(why), "{}", answer.body);
}

/// Sends an item until it is told that the item is there; the item's number.
async fn insist(rig: &Rig, key: &str) -> i64 {
    loop {
        let answer = add(rig, key, key).await;
        if answer.status.is_success() {
            return answer.json()["id"].as_i64().unwrap();
        }
        is_told_to_come_again(&answer, "The list cannot be reached right now");
        rig.until(up).await;
    }
}

/// Writers that add one item after the other until they are told to stop, and what they were told is there.
struct Load {
    stop: watch::Sender<bool>,
    added: Arc<AtomicUsize>,
    progress: watch::Sender<usize>,
    writers: Vec<tokio::task::JoinHandle<Vec<(String, i64)>>>,
}

impl Load {
    fn start(rig: &Arc<Rig>, writers: usize) -> Self {
        let (stop, progress) = (watch::Sender::new(false), watch::Sender::new(0));
        let added = Arc::new(AtomicUsize::new(0));
        let writers = (0..writers).map(|writer| {
            let (rig, stop, added, progress) = (
                rig.clone(),
                stop.subscribe(),
                added.clone(),
                progress.clone(),
            );
            tokio::spawn(async move {
                let mut mine = Vec::new();
                while !*stop.borrow() {
                    let key = format!("{writer}-{}", mine.len());
                    let id = insist(&rig, &key).await;
                    mine.push((key, id));
                    progress.send_replace(added.fetch_add(1, Ordering::Relaxed) + 1);
                }
                mine
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

    /// Waits until so many more items are there.
    async fn more(&self, items: usize) {
        let wanted = self.added.load(Ordering::Relaxed) + items;
        let _ = self
            .progress
            .subscribe()
            .wait_for(|added| *added >= wanted)
            .await;
    }

    async fn end(self) -> BTreeMap<String, i64> {
        self.stop.send_replace(true);
        let mut all = BTreeMap::new();
        for writer in self.writers {
            all.extend(writer.await.unwrap());
        }
        all
    }
}

/// What the database has, by key.
fn items(server: &Server) -> BTreeMap<String, i64> {
    let rows = server
        .sql("SELECT coalesce(json_agg(json_build_array(idempotency_key, id)), '[]') FROM items");
    let rows: Vec<(String, i64)> = serde_json::from_str(&rows).unwrap();
    let found: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(found.len(), rows.len(), "an item is there twice");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_twenty_kills_of_the_server_and_nothing_is_there_twice() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let rig = Arc::new(Rig::postgres(&server, &[]));
    rig.until(up).await;
    let load = Load::start(&rig, 4);
    for _ in 0..20 {
        load.more(20).await;
        // The writers go on beside it.
        tokio::task::block_in_place(|| {
            server.kill();
            server.start_again();
        });
    }
    load.more(20).await;
    let acknowledged = load.end().await;
    assert!(acknowledged.len() >= 21 * 20);
    assert_eq!(items(&server), acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_dies_takes_the_others_with_it_and_loses_nothing() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let rig = Arc::new(Rig::postgres(&server, &[]));
    rig.until(up).await;
    let load = Load::start(&rig, 4);
    for _ in 0..3 {
        load.more(20).await;
        let session =
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'todo-web' LIMIT 1";
        let session = Pid::from_raw(server.sql(session).parse().unwrap());
        // The server ends every other session too, and recovers by itself.
        kill(session, Signal::SIGKILL).unwrap();
        rig.until(down).await;
        rig.until(up).await;
    }
    load.more(20).await;
    let acknowledged = load.end().await;
    assert_eq!(items(&server), acknowledged);
}

#[tokio::test]
async fn a_slow_statement_is_ended_and_changes_nothing_and_the_rest_goes_on() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let rig = Rig::postgres(&server, &[]);
    rig.until(up).await;
    server.sql(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1000); RETURN NEW; END';
         CREATE TRIGGER dawdle BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION dawdle()",
    );
    let slow = add(&rig, "a", "once").await;
    is_told_to_come_again(&slow, "too busy");
    let page = rig
        .submit(
            "/new",
            "text=buy+milk&key=6f1f7a52-0b61-4f6a-9f2c-0a8f6c0d4f11",
        )
        .await;
    is_told_to_come_again(&page, "too busy");
    // What was written is not lost, and sent again it is not added twice.
    for part in [
        "value=\"buy milk\"",
        "value=\"6f1f7a52-0b61-4f6a-9f2c-0a8f6c0d4f11\"",
    ] {
        assert!(page.body.contains(part), "{}", page.body);
    }
    assert!(up(&rig.database.state()), "others are served");
    assert_eq!(rig.get("/api/todos").await.json()["items"], json!([]));
    server.sql("DROP TRIGGER dawdle ON items");
    assert_eq!(add(&rig, "a", "once").await.status, 201);
}

#[tokio::test]
async fn a_lock_that_somebody_holds_is_not_waited_for_for_ever() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let rig = Rig::postgres(&server, &[]);
    rig.until(up).await;
    let other = client(&conninfo(&server, "postgres")).await;
    other
        .batch_execute("BEGIN; LOCK TABLE items")
        .await
        .unwrap();
    is_told_to_come_again(&rig.get("/list").await, "too busy");
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(rig.get("/list").await.status, 200);
}

async fn client(conninfo: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(conninfo, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A role that may have so few connections, with a database of its own.
fn visitor(server: &Server, connections: u8) -> String {
    server.sql(&format!(
        "CREATE ROLE visitor LOGIN CONNECTION LIMIT {connections}"
    ));
    server.sql("CREATE DATABASE todo OWNER visitor");
    conninfo(server, "visitor") + " dbname=todo"
}

#[tokio::test]
async fn a_server_with_fewer_places_than_the_pool_serves_everybody_over_those() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let settings = PostgresSettings::parse(&visitor(&server, 2)).unwrap();
    let rig = Rig::postgres_with(&settings, &[]);
    rig.until(up).await;
    let keys: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let answers = join_all(keys.iter().map(|key| add(&rig, key, key))).await;
    for answer in answers {
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    assert!(up(&rig.database.state()));
}

#[tokio::test]
async fn a_server_without_a_place_is_waited_for() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let conninfo = visitor(&server, 1);
    let other = client(&conninfo).await;
    let rig = Rig::postgres_with(&PostgresSettings::parse(&conninfo).unwrap(), &[]);
    rig.until(|state| matches!(state, State::Down(why) if why.contains("too many connections")))
        .await;
    is_told_to_come_again(&rig.get("/list").await, "does not answer");
    drop(other);
    rig.until(up).await;
    assert_eq!(rig.get("/list").await.status, 200);
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_given_up_and_found_again() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    server.freeze();
    let rig = Rig::postgres(&server, &[]);
    is_told_to_come_again(&rig.get("/list").await, "does not answer");
    rig.until(down).await;
    is_told_to_come_again(&rig.get("/list").await, "does not answer");
    server.thaw();
    rig.until(up).await;
    assert_eq!(rig.get("/list").await.status, 200);
}

#[tokio::test]
async fn a_crowd_is_answered_when_the_server_stops_in_its_tracks() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let rig = Rig::postgres(&server, &[]);
    rig.until(up).await;
    assert_eq!(insist(&rig, "before").await, 1);
    server.freeze_sessions();
    let keys: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    for answer in join_all(keys.iter().map(|key| add(&rig, key, key))).await {
        is_told_to_come_again(&answer, "The list cannot be reached right now");
    }
    server.thaw();
    rig.until(up).await;
    // Some may have been added after all; with their keys none is added twice.
    let mut expected = BTreeMap::from([("before".to_owned(), 1)]);
    for key in keys {
        let id = insist(&rig, &key).await;
        expected.insert(key, id);
    }
    assert_eq!(items(&server), expected);
}

/// Adds items until there is no room; then makes room.
async fn fills_its_disk(rig: &Rig, tmpfs: &Tmpfs) {
    let long = "x".repeat(256);
    let mut added = 0;
    let full = loop {
        let answer = add(rig, &long, &format!("{added}")).await;
        if answer.status != 201 {
            break answer;
        }
        added += 1;
    };
    assert_eq!(full.status, 507, "{}", full.body);
    assert_eq!(full.json()["title"], "The list is full");
    assert!(up(&rig.database.state()));
    let page = rig.submit("/new", &format!("text={long}")).await;
    assert!(
        page.status == 507 && page.body.contains(&long),
        "{}",
        page.body
    );
    assert_eq!(rig.get("/list").await.status, 200, "it can be looked at");
    tmpfs.grow(16 * 1024);
    assert_eq!(add(rig, &long, &format!("{added}")).await.status, 201);
    let deleted = rig.send("DELETE", "/api/todos/1", &[], "").await;
    assert_eq!(deleted.status, 204);
    let all: Value = rig.get("/api/todos?limit=1000").await.json();
    assert_eq!(
        all["items"].as_array().unwrap().len(),
        added.min(1000),
        "one was deleted, one was added"
    );
}

#[tokio::test]
async fn a_full_disk_of_the_server_is_told_as_such_and_nothing_is_lost() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let Some(tmpfs) = Tmpfs::new(256) else {
        return;
    };
    let server = Server::start(&bin, "");
    let rig = Rig::postgres(&server, &[]);
    rig.until(up).await;
    let folder = tmpfs.folder_of_server("tablespace");
    server.sql(&format!(
        "CREATE TABLESPACE tiny LOCATION '{}'",
        folder.display()
    ));
    server.sql("ALTER TABLE items SET TABLESPACE tiny");
    fills_its_disk(&rig, &tmpfs).await;
}

#[tokio::test]
async fn a_full_disk_under_the_file_is_told_as_such_and_nothing_is_lost() {
    let Some(tmpfs) = Tmpfs::new(512) else {
        return;
    };
    let rig = Rig::sqlite_in(tmpfs.path()).await;
    fills_its_disk(&rig, &tmpfs).await;
}
