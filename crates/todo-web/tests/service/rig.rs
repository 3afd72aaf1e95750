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
use todo_web::store::{Store, postgres::Postgres, sqlite::Sqlite};
use todo_web::web::{self, App};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

/// A service that is being watched over; it ends with this.
pub(crate) struct Rig {
    pub(crate) router: Router,
    pub(crate) database: Arc<Database>,
    _watch: DropGuard,
    _folder: tempfile::TempDir,
}

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

impl Rig {
    /// On a file, with settings from the environment's variables.
    pub(crate) async fn sqlite(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::new(&folder.path().join("list.db")));
        let rig = Self::start(folder, store, flags, environment);
        rig.until(|state| matches!(state, State::Up(_))).await;
        rig
    }

    /// On PostgreSQL, which need not run yet.
    pub(crate) fn postgres(server: &Server, flags: &[&str]) -> Self {
        let settings = PostgresSettings::parse(&conninfo(server, "postgres")).unwrap();
        Self::postgres_with(&settings, flags)
    }

    /// On PostgreSQL in another way.
    pub(crate) fn postgres_with(settings: &PostgresSettings, flags: &[&str]) -> Self {
        let limit = Duration::from_millis(500);
        let store = Arc::new(Postgres::new(settings, 4, limit).unwrap());
        Self::start(tempfile::tempdir().unwrap(), store, flags, &[])
    }

    /// On a file in this folder.
    pub(crate) async fn sqlite_in(folder: &std::path::Path) -> Self {
        let store = Arc::new(Sqlite::new(&folder.join("list.db")));
        let rig = Self::start(tempfile::tempdir().unwrap(), store, &[], &[]);
        rig.until(|state| matches!(state, State::Up(_))).await;
        rig
    }

    fn start(
        folder: tempfile::TempDir,
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
        let database = Arc::new(Database::new(store, &metrics, settings.read_only));
        let ended = CancellationToken::new();
        tokio::spawn(database.clone().watch(ended.clone()));
        ready.open();
        let app = App::new(database.clone(), settings, &args, ready);
        Self {
            router: web::router(&app, &metrics),
            database,
            _watch: ended.drop_guard(),
            _folder: folder,
        }
    }

    /// Waits until the watch has found that.
    pub(crate) async fn until(&self, wanted: impl Fn(&State) -> bool) {
        self.database.until(wanted).await;
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

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(method, path, &headers, &body.to_string()).await
    }

    /// Sends a form as a browser does that has the page's cookie.
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

/// How to reach a server's socket as this role.
pub(crate) fn conninfo(server: &Server, role: &str) -> String {
    format!(
        "host={} port={} user={role}",
        server.dir().display(),
        server.port
    )
}

/// A visitor's token.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
