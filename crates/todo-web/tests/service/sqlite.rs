//! SQLite: other processes that hold locks, read-only mounts, restarts, values of other programs.

use std::process::Command;

use futures::future::join_all;
use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::json;
use test_support::program::Program;
use todo_web::database::State;
use todo_web::store::Access;

use crate::harness::TestApp;
use crate::tmpfs::Tmpfs;

fn texts(answer: &crate::harness::Answer) -> Vec<String> {
    let json = answer.json();
    let items = json["items"].as_array().unwrap().iter();
    items
        .map(|item| item["text"].as_str().unwrap().to_owned())
        .collect()
}

async fn add(app: &TestApp, text: &str) -> crate::harness::Answer {
    app.call("POST", "/api/todos", json!({"text": text})).await
}

#[tokio::test]
async fn readers_do_not_wait_for_a_writer_and_rejected_changes_are_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::sqlite_in(dir.path()).await;
    assert_eq!(add(&app, "first").await.status, 201);
    let other = Connection::open(dir.path().join("list.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let changes = join_all(["a", "b", "c", "d", "e", "f"].map(|text| add(&app, text)));
    let read = async {
        // The changes wait for the lock now.
        tokio::task::yield_now().await;
        for _ in 0..3 {
            assert_eq!(texts(&app.get("/api/todos").await), ["first"]);
        }
    };
    let mut changes = std::pin::pin!(changes);
    tokio::select! {
        _ = &mut changes => panic!("the readers waited for the writers"),
        () = read => {}
    }
    for change in &changes.await {
        assert_eq!(change.status, 503, "{}", change.body);
        assert!(
            change.body.contains("Nothing was changed"),
            "{}",
            change.body
        );
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(add(&app, "last").await.status, 201);
    assert_eq!(texts(&app.get("/api/todos").await), ["last", "first"]);
}

#[tokio::test]
async fn read_only_mount_shows_the_list() {
    let Some(tmpfs) = Tmpfs::new(1024) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let app = TestApp::sqlite_in(dir.path()).await;
    assert_eq!(add(&app, "kept").await.status, 201);
    let file = dir.path().join("list.db");
    let backup = format!("VACUUM INTO '{}'", tmpfs.path().join("list.db").display());
    Connection::open(file)
        .unwrap()
        .execute_batch(&backup)
        .unwrap();
    let copy = Connection::open(tmpfs.path().join("list.db")).unwrap();
    copy.pragma_update(None, "journal_mode", "WAL").unwrap();
    drop(copy);
    tmpfs.make_read_only(1024);
    let app = TestApp::sqlite_in(tmpfs.path()).await;
    assert_eq!(app.database.state(), State::Up(Access::ReadOnly));
    assert_eq!(texts(&app.get("/api/todos").await), ["kept"]);
    assert_eq!(add(&app, "no").await.status, 403);
}

#[test]
fn acknowledged_item_survives_a_killed_service() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_todo-web"));
        command
            .args(["--listen", "127.0.0.1:0", "--sqlite"])
            .arg(dir.path().join("list.db"))
            .env_remove("DATABASE_URL");
        Program::spawn_server(command, "address=")
    };
    for round in 1..=3 {
        let mut service = start();
        let body = format!(r#"{{"text": "item {round}"}}"#);
        let response = post(&service.address, &body);
        assert!(response.starts_with("HTTP/1.1 201 "), "{response}");
        service.signal(Signal::SIGKILL);
        service.wait();
        let service = start();
        let list = service.get("/api/todos");
        for earlier in 1..=round {
            assert!(list.contains(&format!("item {earlier}")), "{list}");
        }
    }
}

fn post(address: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /api/todos HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]

    /// Other programs can store values that this one rejects; a row of them must not break the list.
    #[test]
    fn any_stored_value_is_listed(text in "\\PC{1,40}|[\\x01-\\x1f\\u{202e}\u{1f680}]{1,9}", created in ".{0,30}|-?[0-9]{1,9}-99-99T00:00:00Z", done in proptest::prelude::any::<i64>()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let app = TestApp::sqlite_in(dir.path()).await;
            let other = Connection::open(dir.path().join("list.db")).unwrap();
            let insert = "INSERT INTO items (text, created_at, done) VALUES (?1, ?2, ?3)";
            other.execute(insert, rusqlite::params![text, created, done]).unwrap();
            assert_eq!(add(&app, "fine").await.status, 201);
            for path in ["/list", "/", "/items/1/edit", "/api/todos", "/api/todos/1"] {
                let answer = app.get(path).await;
                assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            }
            assert_eq!(texts(&app.get("/api/todos").await), ["fine", &text]);
        });
    }
}
