//! PgBouncer between the application and PostgreSQL, in all its modes, without settings of the application.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use test_support::Requirement;
use test_support::postgres::Server;
use todo_web::database::State;
use todo_web::settings::PostgresSettings;
use todo_web::store::Access;
use todo_web::store::postgres::Postgres;

use crate::harness::TestApp;

fn up(state: &State) -> bool {
    *state == State::Up(Access::ReadWrite)
}

/// PgBouncer in front of a server, terminated on drop.
struct PgBouncer {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl PgBouncer {
    fn start(server: &Server, mode: &str, settings: &str) -> Self {
        // In session mode each connection of the applications needs one of the server.
        let size = if mode == "session" { 8 } else { 2 };
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let (path, server_port) = (dir.path().display(), server.port);
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server_port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = {size}\nserver_login_retry = 1\n\
             logfile = {path}/log\n{settings}\n"
        );
        let file = dir.path().join("pgbouncer.ini");
        fs::write(&file, text).unwrap();
        let mut command = Command::new("pgbouncer");
        command.arg(&file).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(user) = test_support::postgres::ordinary_user() {
            std::os::unix::fs::chown(dir.path(), Some(user.uid.as_raw()), None).unwrap();
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        Self {
            process: command.spawn().unwrap(),
            port,
            _dir: dir,
        }
    }

    fn settings(&self) -> PostgresSettings {
        let conninfo = format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres",
            self.port
        );
        PostgresSettings::parse(&conninfo).unwrap()
    }

    fn app(&self) -> TestApp {
        TestApp::postgres_with(&self.settings(), &[])
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start_server() -> Option<Server> {
    if !test_support::require(Requirement::Pgbouncer) {
        return None;
    }
    let bin = test_support::postgres::programs()?;
    Some(Server::start(&bin, ""))
}

/// Adds and lists items concurrently.
async fn assert_works(app: &TestApp, items: usize) {
    let add = || app.call("POST", "/api/todos", json!({"text": "a"}));
    for answer in join_all((0..items).map(|_| add())).await {
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    for answer in join_all((0..16).map(|_| app.get("/api/todos"))).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mode_of_pgbouncer_works_without_settings() {
    let Some(server) = start_server() else { return };
    for (round, (mode, settings)) in [
        ("session", ""),
        ("transaction", ""),
        ("transaction", "ignore_startup_parameters = options"),
        ("session", "ignore_startup_parameters = options"),
    ]
    .into_iter()
    .enumerate()
    {
        let pooler = PgBouncer::start(&server, mode, settings);
        // Several replicas share the pooler's connections.
        let apps = [pooler.app(), pooler.app()];
        for app in &apps {
            app.wait_for(up).await;
        }
        join_all(apps.iter().map(|app| assert_works(app, 10))).await;
        let expected = (20 * (round + 1)).to_string();
        assert_eq!(server.sql("SELECT count(*) FROM items"), expected, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pooled_statement_is_cancelled_before_the_time_limit() {
    let Some(server) = start_server() else { return };
    let pooler = PgBouncer::start(&server, "transaction", "");
    // The pooler needs some time to pass a cancellation on.
    let limit = Duration::from_secs(2);
    let store = Postgres::new(&pooler.settings(), 4, limit).unwrap();
    let app = TestApp::postgres_with_store(store, &[]);
    app.wait_for(up).await;
    server.sql(
        "CREATE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1000); RETURN NEW; END';
         CREATE TRIGGER delay BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION delay()",
    );
    let slow = app.call("POST", "/api/todos", json!({"text": "a"})).await;
    assert_eq!(slow.status, 503);
    assert!(slow.body.contains("too busy"), "{}", slow.body);
    let running =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT%' AND state = 'active'";
    assert_eq!(server.sql(running), "0");
    server.sql("DROP TRIGGER delay ON items");
    assert_works(&app, 4).await;
    assert_eq!(server.sql("SELECT count(*) FROM items"), "4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_server_behind_a_pooler_is_reported_and_recovers() {
    let Some(server) = start_server() else { return };
    let pooler = PgBouncer::start(&server, "transaction", "");
    let app = pooler.app();
    app.wait_for(up).await;
    assert_works(&app, 1).await;
    tokio::task::block_in_place(|| server.kill());
    assert_eq!(app.get("/api/todos").await.status, 503);
    assert_eq!(app.get("/readyz").await.status, 503);
    tokio::task::block_in_place(|| server.start_again());
    app.wait_for(up).await;
    assert_works(&app, 1).await;
}
