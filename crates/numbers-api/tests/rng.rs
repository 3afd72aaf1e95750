//! The chapter's behaviour, without a socket.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::sync::Arc;

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use numbers_api::{App, Args};
use tower::ServiceExt;

fn app(flags: &[&str]) -> Router {
    let args = std::iter::once("numbers-api")
        .chain(flags.iter().copied())
        .map(Into::into);
    let args: Args = http_service::args::parse(args).unwrap();
    numbers_api::router(&Arc::new(App::new(&args)))
}

async fn get(app: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn broken(message: &str) -> (StatusCode, String) {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("{{\"message\":\"{message}\"}}"),
    )
}

fn ok() -> (StatusCode, String) {
    (StatusCode::OK, "Ok".to_owned())
}

#[tokio::test]
async fn number_is_a_json_integer_below_100() {
    let app = app(&[]);
    for _ in 0..500 {
        let (status, body) = get(&app, "/rng").await;
        assert_eq!(status, StatusCode::OK);
        assert!(serde_json::from_str::<u8>(&body).unwrap() < 100, "{body}");
    }
}

#[tokio::test]
async fn first_call_breaks_an_instance_with_limit_one() {
    let app = app(&["--fail-after-call-count=1"]);
    assert_eq!(get(&app, "/healthz").await, ok());
    assert_eq!(get(&app, "/rng").await.0, StatusCode::OK);
    assert_eq!(get(&app, "/rng").await, broken("Unhealthy!"));
    assert_eq!(get(&app, "/healthz").await, broken("Unhealthy"));
    assert_eq!(get(&app, "/health").await, broken("Unhealthy"));
}

#[tokio::test]
async fn reset_repairs_the_instance() {
    let app = app(&["--fail-after-call-count=1"]);
    get(&app, "/rng").await;
    assert_eq!(get(&app, "/reset").await.0, StatusCode::OK);
    assert_eq!(get(&app, "/health").await, ok());
    assert_eq!(get(&app, "/rng").await.0, StatusCode::OK);
    assert_eq!(get(&app, "/rng").await.0, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn failure_has_a_unique_id_if_enabled() {
    let app = app(&["--fail-after-call-count=1", "--use-failure-id=true"]);
    get(&app, "/rng").await;
    let (status, first) = get(&app, "/rng").await;
    let (_, second) = get(&app, "/rng").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(first.starts_with(r#"{"message":"Unhealthy! "#), "{first}");
    assert_ne!(first, second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_calls_are_counted_exactly() {
    let app = app(&["--fail-after-call-count=1000"]);
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let app = app.clone();
        callers.spawn(async move {
            let mut succeeded = 0;
            for _ in 0..125 {
                succeeded += usize::from(get(&app, "/rng").await.0 == StatusCode::OK);
            }
            succeeded
        });
    }
    assert_eq!(callers.join_all().await.into_iter().sum::<usize>(), 1000);
}
