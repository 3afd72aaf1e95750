//! The application without a socket, over a store of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use clap::Parser as _;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use http_service::{Metrics, Readiness};
use serde_json::Value;
use test_support::postgres::Server;
use todo_web::Args;
use todo_web::database::{Database, State};
use todo_web::settings::{PostgresSettings, Settings};
use todo_web::store::{Access, Store, postgres::Postgres, sqlite::Sqlite};
use todo_web::web::{self, App};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

/// Application whose health check runs until it is dropped.
pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) database: Arc<Database>,
    _health_check: DropGuard,
    _dir: tempfile::TempDir,
}

/// Response of the application.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl TestApp {
    /// On SQLite, with these variables.
    pub(crate) async fn sqlite(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::new(&dir.path().join("list.db"), LIMIT));
        let app = Self::start(dir, store, flags, environment);
        app.wait_for(|state| matches!(state, State::Up(_))).await;
        app
    }

    /// On PostgreSQL, which does not have to run yet.
    pub(crate) fn postgres(server: &Server, flags: &[&str]) -> Self {
        let settings = PostgresSettings::parse(&conninfo(server, "postgres")).unwrap();
        Self::postgres_with(&settings, flags)
    }

    /// On PostgreSQL with these settings.
    pub(crate) fn postgres_with(settings: &PostgresSettings, flags: &[&str]) -> Self {
        Self::postgres_with_store(Postgres::new(settings, 4, LIMIT).unwrap(), flags)
    }

    /// On PostgreSQL with this store.
    pub(crate) fn postgres_with_store(store: Postgres, flags: &[&str]) -> Self {
        Self::start(tempfile::tempdir().unwrap(), Arc::new(store), flags, &[])
    }

    /// On an SQLite file in this directory.
    pub(crate) async fn sqlite_in(dir: &std::path::Path) -> Self {
        let store = Arc::new(Sqlite::new(&dir.join("list.db"), LIMIT));
        let app = Self::start(tempfile::tempdir().unwrap(), store, &[], &[]);
        app.wait_for(|state| matches!(state, State::Up(_))).await;
        app
    }

    fn start(
        dir: tempfile::TempDir,
        store: Arc<dyn Store>,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let args = Args::parse_from(["todo-web"].iter().chain(flags));
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::load(&args, environment).unwrap();
        let (metrics, ready) = (Metrics::default(), Readiness::default());
        let access = match settings.read_only {
            true => Access::ReadOnly,
            false => Access::ReadWrite,
        };
        let database = Arc::new(Database::new(store, &metrics, access, args.request_timeout));
        let shutdown = CancellationToken::new();
        tokio::spawn(database.clone().run_health_check(shutdown.clone()));
        ready.open();
        let app = App::new(database.clone(), settings, &args, ready);
        Self {
            router: web::router(&app, &metrics),
            database,
            _health_check: shutdown.drop_guard(),
            _dir: dir,
        }
    }

    /// Waits for a state of the database.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(&State) -> bool) {
        self.database.wait_for(wanted).await;
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Sends a request; returns the status and headers of a response that is not text.
    pub(crate) async fn send_raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, HeaderMap) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        (response.status(), response.headers().clone())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(method, path, &headers, &body.to_string()).await
    }

    /// Sends a form as a browser does, with the cookie of the page.
    pub(crate) async fn submit(&self, path: &str, fields: &str) -> Answer {
        let cookie = format!("theme=dark; csrf={TOKEN}");
        let headers = [
            ("cookie", cookie.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        self.send("POST", path, &headers, &format!("csrf={TOKEN}&{fields}"))
            .await
    }
}

/// Connection string of a server's socket, with this role.
pub(crate) fn conninfo(server: &Server, role: &str) -> String {
    format!(
        "host={} port={} user={role}",
        server.dir().display(),
        server.port
    )
}

/// Time limit of a store's calls.
pub(crate) const LIMIT: Duration = Duration::from_millis(500);

/// Token of a visitor.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
