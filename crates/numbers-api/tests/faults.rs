//! Faults, the probe log, metrics and the page, without a socket.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::sync::Arc;

use axum::{Router, body::Body, response::Response};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use numbers_api::{App, Args};
use tower::ServiceExt;

fn app(flags: &[&str]) -> Router {
    let args = std::iter::once("numbers-api")
        .chain(flags.iter().copied())
        .map(Into::into);
    let args: Args = http_service::args::parse(args).unwrap();
    let app = Arc::new(App::new(&args));
    app.ready.open();
    numbers_api::router(&app)
}

async fn send(app: &Router, method: Method, path: &str, body: &'static str) -> Response {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::USER_AGENT, "kube-<probe>/1.36");
    app.clone()
        .oneshot(request.body(Body::from(body)).unwrap())
        .await
        .unwrap()
}

async fn status(app: &Router, path: &str) -> StatusCode {
    send(app, Method::GET, path, "").await.status()
}

async fn text(app: &Router, path: &str) -> String {
    let body = send(app, Method::GET, path, "")
        .await
        .into_body()
        .collect()
        .await
        .unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

async fn statuses(app: &Router) -> [u16; 4] {
    let mut all = [0; 4];
    for (slot, path) in all
        .iter_mut()
        .zip(["/healthz", "/livez", "/readyz", "/startupz"])
    {
        *slot = status(app, path).await.as_u16();
    }
    all
}

#[tokio::test]
async fn fault_affects_only_its_target() {
    assert_eq!(statuses(&app(&[])).await, [200, 200, 200, 200]);
    assert_eq!(
        statuses(&app(&["--fault=healthz:always:fail"])).await,
        [500, 200, 200, 200]
    );
    assert_eq!(
        statuses(&app(&["--fault=livez:always:fail"])).await,
        [200, 500, 200, 200]
    );
    assert_eq!(
        statuses(&app(&["--fault=readyz:always:fail"])).await,
        [200, 200, 500, 200]
    );
    assert_eq!(
        statuses(&app(&["--fault=startupz:always:fail"])).await,
        [200, 200, 200, 500]
    );
    assert_eq!(
        statuses(&app(&["--fault=rng:always:fail"])).await,
        [200, 200, 200, 200]
    );
}

#[tokio::test]
async fn broken_instance_fails_every_health_endpoint_but_startupz() {
    let app = app(&["--fail-after-call-count=1"]);
    text(&app, "/rng").await;
    assert_eq!(statuses(&app).await, [500, 500, 500, 200]);
}

#[tokio::test]
async fn instance_is_neither_started_nor_ready_before_it_listens() {
    let args: Args = http_service::args::parse(["numbers-api".into()]).unwrap();
    let app = numbers_api::router(&Arc::new(App::new(&args)));
    assert_eq!(statuses(&app).await, [200, 200, 503, 503]);
}

#[tokio::test(start_paused = true)]
async fn slow_response_is_delayed_and_healthy() {
    let app = app(&["--fault=livez:always:slow=7s"]);
    let start = tokio::time::Instant::now();
    assert_eq!(status(&app, "/livez").await, StatusCode::OK);
    assert_eq!(start.elapsed().as_secs(), 7);
}

#[tokio::test]
async fn fault_api_is_disabled_by_default() {
    let app = app(&[]);
    assert_eq!(status(&app, "/faults").await, StatusCode::NOT_FOUND);
    let put = send(&app, Method::PUT, "/faults/livez", "always:fail").await;
    assert_eq!(put.status(), StatusCode::NOT_FOUND);
    assert_eq!(status(&app, "/livez").await, StatusCode::OK);
}

#[tokio::test]
async fn fault_api_sets_lists_and_clears_faults() {
    let app = app(&["--enable-fault-api"]);
    let put = send(&app, Method::PUT, "/faults/livez", "next=2:fail\n").await;
    assert_eq!(put.status(), StatusCode::NO_CONTENT);
    assert_eq!(text(&app, "/faults").await, r#"["livez:next=2:fail"]"#);
    assert_eq!(statuses(&app).await, [200, 500, 200, 200]);
    send(&app, Method::DELETE, "/faults/livez", "").await;
    assert_eq!(text(&app, "/faults").await, "[]");
    assert_eq!(statuses(&app).await, [200, 200, 200, 200]);
}

#[tokio::test]
async fn invalid_fault_is_rejected() {
    let app = app(&["--enable-fault-api"]);
    let put = async |path, body| send(&app, Method::PUT, path, body).await.status();
    assert_eq!(
        put("/faults/metrics", "always:fail").await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        put("/faults/livez", "always").await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        send(&app, Method::DELETE, "/faults/metrics", "")
            .await
            .status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn probe_log_has_the_latest_100_records_newest_first() {
    let app = app(&["--fault=livez:always:fail"]);
    for _ in 0..100 {
        status(&app, "/healthz").await;
    }
    status(&app, "/livez").await;
    let probes: serde_json::Value = serde_json::from_str(&text(&app, "/probes").await).unwrap();
    let probes = probes.as_array().unwrap();
    assert_eq!(probes.len(), 100);
    assert_eq!(probes[0]["path"], "/livez");
    assert_eq!(probes[0]["status"], 500);
    assert_eq!(probes[0]["userAgent"], "kube-<probe>/1.36");
    assert_eq!(probes[1]["path"], "/healthz");
}

#[tokio::test(start_paused = true)]
async fn cancelled_probe_is_recorded_without_a_status() {
    let app = app(&["--fault=livez:always:hang"]);
    let gave_up =
        tokio::time::timeout(std::time::Duration::from_secs(1), status(&app, "/livez")).await;
    assert!(gave_up.is_err());
    let probes: serde_json::Value = serde_json::from_str(&text(&app, "/probes").await).unwrap();
    assert_eq!(probes[0]["path"], "/livez");
    assert_eq!(probes[0]["status"], serde_json::Value::Null);
}

#[tokio::test]
async fn requests_other_than_probes_are_not_recorded() {
    let app = app(&[]);
    text(&app, "/rng").await;
    text(&app, "/").await;
    assert_eq!(text(&app, "/probes").await, "[]");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let app = app(&["--fail-after-call-count=1"]);
    for path in ["/rng", "/rng", "/rng", "/made-up-1", "/made-up-2"] {
        status(&app, path).await;
    }
    let response = send(&app, Method::GET, "/metrics", "").await;
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let page = text(&app, "/metrics").await;
    for line in [
        r#"http_requests_total{method="GET",route="/rng",status="200"} 1"#,
        r#"http_requests_total{method="GET",route="/rng",status="500"} 2"#,
        r#"http_requests_total{method="GET",route="unmatched",status="404"} 2"#,
        r#"http_request_duration_seconds_count{method="GET",route="/rng",status="500"} 2"#,
        "# TYPE http_requests_total counter",
    ] {
        assert!(
            page.lines().any(|known| known == line),
            "{line} is missing from\n{page}"
        );
    }
    assert!(http_service::exposition::check_histograms(&page).unwrap() >= 3);
    assert!(!page.contains("made-up"), "a raw path became a label");
}
