//! The request timeout on a paused clock, over a store that never responds.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use clap::Parser as _;
use http::{Request, header};
use http_service::{Metrics, Readiness};
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::{App, router};
use crate::args::Args;
use crate::database::{Database, State};
use crate::item::{Item, Text};
use crate::settings::Settings;
use crate::store::{Access, Change, Connections, Count, Created, Outcome, Store, StoreError};

struct SilentStore;

#[async_trait]
impl Store for SilentStore {
    async fn prepare(&self) -> Result<Access, StoreError> {
        std::future::pending().await
    }

    async fn count(&self) -> Result<Count, StoreError> {
        std::future::pending().await
    }

    async fn list(&self, _: Option<i64>, _: u16) -> Result<Vec<Item>, StoreError> {
        std::future::pending().await
    }

    async fn get(&self, _: i64) -> Result<Option<Item>, StoreError> {
        std::future::pending().await
    }

    async fn create(&self, _: &Text, _: Option<&str>) -> Result<Created, StoreError> {
        std::future::pending().await
    }

    async fn change(&self, _: i64, _: &Change) -> Result<Outcome<Item>, StoreError> {
        std::future::pending().await
    }

    async fn delete(&self, _: i64, _: Option<i64>) -> Result<Outcome<Item>, StoreError> {
        std::future::pending().await
    }

    fn connections(&self) -> Connections {
        Connections::default()
    }
}

/// Request with the headers and fields of a browser or an API client.
fn request(method: &str, path: &str) -> Request<Body> {
    let token = "0123456789abcdef0123456789abcdef";
    let (kind, body) = if path.starts_with("/api/") {
        ("application/json", r#"{"text": "a"}"#.to_owned())
    } else {
        let form = format!("csrf={token}&text=typed+text&done=true");
        ("application/x-www-form-urlencoded", form)
    };
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, kind)
        .header(header::COOKIE, format!("csrf={token}"))
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn request_is_answered_at_its_deadline_without_a_response_of_the_database() {
    let args = Args::parse_from(["todo-web", "--request-timeout=3s"]);
    let settings = Settings::load(&args, std::iter::empty()).unwrap();
    let metrics = Metrics::default();
    let app = || {
        let database = Database::new(
            Arc::new(SilentStore),
            &metrics,
            Access::ReadWrite,
            args.request_timeout,
        );
        database.set_state(State::Up(Access::ReadWrite));
        let (database, settings) = (Arc::new(database), settings.clone());
        App::new(database, settings, &args, Readiness::default())
    };
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/list"),
        ("GET", "/items/1/edit"),
        ("POST", "/new"),
        ("POST", "/items/1/edit"),
        ("POST", "/items/1/done"),
        ("POST", "/items/1/delete"),
        ("GET", "/api/todos"),
        ("POST", "/api/todos"),
        ("GET", "/api/todos/1"),
        ("PATCH", "/api/todos/1"),
        ("DELETE", "/api/todos/1"),
    ] {
        let start = Instant::now();
        let answer = router(&app(), &metrics)
            .oneshot(request(method, path))
            .await;
        let answer = answer.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(3), "{method} {path}");
        assert_eq!(answer.status(), 503, "{method} {path}");
        assert_eq!(answer.headers()[header::RETRY_AFTER], "2");
        let kind = if path.starts_with("/api/") {
            "application/problem+json"
        } else {
            "text/html; charset=utf-8"
        };
        assert_eq!(
            answer.headers()[header::CONTENT_TYPE],
            kind,
            "{method} {path}"
        );
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let body = str::from_utf8(&body).unwrap();
        // A change that was sent may be made after the response, and only then.
        let is_uncertain = body.contains("The change may have been made");
        assert_eq!(is_uncertain, method != "GET", "{method} {path}: {body}");
        if path == "/new" || path == "/items/1/edit" && method == "POST" {
            assert!(body.contains("value=\"typed text\""), "{path}: {body}");
        }
    }
}
