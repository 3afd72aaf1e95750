//! Faults between the application and PostgreSQL: dead connections, fail-over, rotated passwords, lost search path.

use std::sync::{Arc, Mutex};

use futures::future::join_all;
use serde_json::json;
use test_support::postgres::Server;
use todo_web::database::State;
use todo_web::settings::PostgresSettings;
use todo_web::store::Access;
use todo_web::store::postgres::Postgres;

use crate::harness::{LIMIT, TestApp, conninfo};
use crate::proxy::Proxy;

fn up(state: &State) -> bool {
    *state == State::Up(Access::ReadWrite)
}

fn down(state: &State) -> bool {
    matches!(state, State::Down(_))
}

async fn app_behind(proxy: &Proxy) -> TestApp {
    let conninfo = format!("host=127.0.0.1 port={} user=postgres", proxy.port);
    let app = TestApp::postgres_with(&PostgresSettings::parse(&conninfo).unwrap(), &[]);
    app.wait_for(up).await;
    app
}

/// Opens all connections of the pool.
async fn use_all_connections(app: &TestApp) {
    for answer in join_all((0..16).map(|_| app.get("/api/todos"))).await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

async fn add(app: &TestApp) -> u16 {
    let answer = app.call("POST", "/api/todos", json!({"text": "a"})).await;
    answer.status.as_u16()
}

#[tokio::test]
async fn one_timeout_replaces_all_connections() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let proxy = Proxy::start(server.port).await;
    let app = app_behind(&proxy).await;
    use_all_connections(&app).await;
    proxy.stall_open_connections();
    assert_eq!(app.get("/api/todos").await.status, 503);
    assert!(down(&app.database.state()));
    app.wait_for(up).await;
    // Each stalled connection in the pool would fail one more request.
    use_all_connections(&app).await;
}

#[tokio::test]
async fn closed_connections_are_replaced_without_a_failed_request() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let proxy = Proxy::start(server.port).await;
    let app = app_behind(&proxy).await;
    for _ in 0..5 {
        use_all_connections(&app).await;
        proxy.close_open_connections();
        app.wait_for(up).await;
        let first = app.get("/api/todos").await.status;
        app.wait_for(up).await;
        assert!(first == 200 || first == 503, "{first}");
        use_all_connections(&app).await;
    }
}

#[tokio::test]
async fn fail_over_to_a_new_primary_needs_no_restart() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let (old, new) = (Server::start(&bin, ""), Server::start(&bin, ""));
    let proxy = Proxy::start(old.port).await;
    let app = app_behind(&proxy).await;
    use_all_connections(&app).await;
    assert_eq!(add(&app).await, 201);
    // The old primary keeps its connections.
    old.sql("ALTER SYSTEM SET default_transaction_read_only = on");
    old.sql("SELECT pg_reload_conf()");
    proxy.move_to(new.port);
    // The new server has no schema, so the first request starts the health check.
    app.get("/api/todos").await;
    while add(&app).await != 201 {
        app.wait_for(up).await;
    }
    assert_eq!(new.sql("SELECT count(*) FROM items"), "1");
    assert_eq!(old.sql("SELECT count(*) FROM items"), "1");
}

#[tokio::test]
async fn change_on_a_demoted_primary_is_repeated_on_the_new_one() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let (old, new) = (Server::start(&bin, ""), Server::start(&bin, ""));
    let proxy = Proxy::start(new.port).await;
    app_behind(&proxy).await;
    proxy.move_to(old.port);
    let app = app_behind(&proxy).await;
    use_all_connections(&app).await;
    old.sql("ALTER SYSTEM SET default_transaction_read_only = on");
    old.sql("SELECT pg_reload_conf()");
    proxy.move_to(new.port);
    assert_eq!(add(&app).await, 201);
    assert_eq!(new.sql("SELECT count(*) FROM items"), "1");
}

#[tokio::test]
async fn target_session_attrs_selects_the_primary() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let (standby, primary) = (Server::start_as_standby(&bin), Server::start(&bin, ""));
    let hosts = format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user=postgres",
        standby.port, primary.port
    );
    let settings = PostgresSettings::parse(&format!("{hosts} target_session_attrs=primary"));
    let app = TestApp::postgres_with(&settings.unwrap(), &[]);
    app.wait_for(up).await;
    assert_eq!(add(&app).await, 201);
    assert_eq!(primary.sql("SELECT count(*) FROM items"), "1");
    let error = PostgresSettings::parse(&format!("{hosts} target_session_attrs=leader"));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("target_session_attrs")
    );
}

#[tokio::test]
async fn rotated_password_is_read_again() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let hba = "local all all trust\nhost all postgres all scram-sha-256\n";
    let server = Server::start_with_hba(&bin, hba);
    server.sql("ALTER ROLE postgres PASSWORD 'one'");
    let settings = |password: &str| {
        let conninfo = format!(
            "host=127.0.0.1 port={} user=postgres password={password}",
            server.port
        );
        PostgresSettings::parse(&conninfo).unwrap()
    };
    let current = Arc::new(Mutex::new(settings("one")));
    let source = current.clone();
    let reload = Box::new(move || Some(source.lock().unwrap().clone()));
    let store = Postgres::with_reload(&settings("one"), Some(reload), 4, LIMIT).unwrap();
    let app = TestApp::postgres_with_store(store, &[]);
    app.wait_for(up).await;
    server.sql("ALTER ROLE postgres PASSWORD 'two'");
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'todo-web'");
    app.get("/api/todos").await;
    app.wait_for(
        |state| matches!(state, State::Down(why) if why.contains("password authentication failed")),
    )
    .await;
    *current.lock().unwrap() = settings("two");
    app.wait_for(up).await;
    assert_eq!(add(&app).await, 201);
}

#[tokio::test]
async fn lost_search_path_replaces_the_connection() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let settings = PostgresSettings::parse(&conninfo(&server, "postgres")).unwrap();
    let app = TestApp::postgres_with(&settings, &["--ready=strict"]);
    app.wait_for(up).await;
    // Each item that is added changes the search path of its connection, as another client of a pooler can do.
    server.sql(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'pg_catalog', false); RETURN NULL; END $$",
    );
    server.sql("CREATE TRIGGER lose AFTER INSERT ON items EXECUTE FUNCTION lose()");
    for round in 0..3 {
        assert_eq!(add(&app).await, 201, "round {round}");
        use_all_connections(&app).await;
    }
    assert_eq!(server.sql("SELECT count(*) FROM items"), "3");
}
