//! The page and its updates, without a socket.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use numbers_api::{App, Args};
use tower::ServiceExt;

struct TestApp {
    app: Arc<App>,
    router: Router,
}

impl TestApp {
    fn new(flags: &[&str]) -> Self {
        let args = std::iter::once("numbers-api").chain(flags.iter().copied());
        let args: Args = http_service::args::parse(args.map(Into::into)).unwrap();
        let app = Arc::new(App::new(&args));
        app.ready.open();
        let router = numbers_api::router(&app);
        Self { app, router }
    }

    async fn send(&self, method: Method, path: &str, body: &'static str) -> Response {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::USER_AGENT, "kube-<probe>/1.36")
            .body(Body::from(body))
            .unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> String {
        let body = self.send(Method::GET, path, "").await.into_body();
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }
}

#[tokio::test]
async fn page_shows_state_faults_and_escaped_probes() {
    let app = TestApp::new(&["--fault=startupz:always:fail"]);
    app.get("/livez").await;
    let page = app.get("/").await;
    for part in [
        "<h1>numbers-api is healthy</h1>",
        "<code>startupz:always:fail</code>",
        "<td>/livez</td>",
        "kube-&#60;probe&#62;/1.36",
    ] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    assert!(!page.contains("<probe>"), "{page}");
    let response = app.send(Method::GET, "/", "").await;
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
}

/// The page says what the health endpoints respond: each row has flags, the requests made before, and parts of the page.
#[tokio::test]
async fn summary_follows_the_responses_of_the_health_endpoints() {
    for (flags, calls, word, class, consequence) in [
        (&[][..], 0, "healthy", "good", "sends it traffic."),
        (
            &["--fail-after-call-count=1"],
            1,
            "broken",
            "bad",
            "sends it no traffic; a liveness probe will restart it",
        ),
        (
            &["--fault=readyz:always:hang"],
            0,
            "not ready",
            "odd",
            "sends it no traffic.",
        ),
        (
            &["--fault=livez:always:slow=2s"],
            0,
            "not live",
            "bad",
            "sends it traffic; a liveness probe will restart it",
        ),
        (
            &["--startup-delay=1h"],
            0,
            "starting",
            "odd",
            "sends it no traffic.",
        ),
    ] {
        let app = TestApp::new(flags);
        for _ in 0..calls {
            app.get("/rng").await;
        }
        let page = app.get("/").await;
        assert!(
            page.contains(&format!("<h1>numbers-api is {word}</h1>")),
            "{flags:?}: {page}"
        );
        assert!(
            page.contains(&format!("<div class=\"state {class}\">")),
            "{flags:?}: {page}"
        );
        assert!(page.contains(consequence), "{flags:?}: {page}");
    }
}

#[tokio::test]
async fn fault_buttons_are_disabled_without_the_fault_api() {
    let page = TestApp::new(&[]).get("/").await;
    assert!(page.contains("--enable-fault-api"), "{page}");
    assert!(page.contains(" disabled>Crash</button>"), "{page}");
    let app = TestApp::new(&["--enable-fault-api"]);
    let page = app.get("/").await;
    assert!(!page.contains(" disabled>"), "{page}");
    // Each button's request is accepted.
    let buttons: Vec<_> = page.split("data-body=\"").skip(1).collect();
    assert_eq!(buttons.len(), 25);
    for button in buttons {
        let body = button.split('"').next().unwrap().to_owned().leak();
        let response = app.send(Method::PUT, "/faults/livez", body).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{body}");
    }
}

/// Reads one server-sent event.
async fn next_event(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn events_report_each_change_and_end_with_the_shutdown() {
    let app = TestApp::new(&["--fail-after-call-count=1"]);
    let response = app.send(Method::GET, "/events", "").await;
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/event-stream"
    );
    let mut body = response.into_body();
    let first = next_event(&mut body).await.unwrap();
    assert!(first.contains("event: state"), "{first}");
    assert!(first.contains("numbers-api is healthy"), "{first}");
    assert!(
        next_event(&mut body)
            .await
            .unwrap()
            .contains("event: probes")
    );
    app.get("/rng").await;
    let broken = next_event(&mut body).await.unwrap();
    assert!(broken.contains("numbers-api is broken"), "{broken}");
    app.get("/livez").await;
    let probe = next_event(&mut body).await.unwrap();
    assert!(probe.contains("/livez"), "{probe}");
    let quiet = tokio::time::timeout(Duration::from_secs(60), next_event(&mut body)).await;
    assert!(quiet.is_err(), "nothing changed: {quiet:?}");
    app.app.ready.close();
    let mut rest = Vec::new();
    while let Some(event) = next_event(&mut body).await {
        rest.push(event);
    }
    assert!(rest.len() <= 1, "{rest:?}");
}

#[tokio::test]
async fn number_of_event_streams_is_limited() {
    let app = TestApp::new(&[]);
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(app.send(Method::GET, "/events", "").await);
    }
    let rejected = app.send(Method::GET, "/events", "").await;
    assert_eq!(rejected.status(), StatusCode::SERVICE_UNAVAILABLE);
    streams.pop();
    let accepted = app.send(Method::GET, "/events", "").await;
    assert_eq!(accepted.status(), StatusCode::OK);
}

#[tokio::test]
async fn responses_forbid_media_type_sniffing() {
    let app = TestApp::new(&[]);
    for path in ["/", "/rng", "/healthz", "/unknown", "/metrics"] {
        let response = app.send(Method::GET, path, "").await;
        assert_eq!(
            response.headers()["x-content-type-options"],
            "nosniff",
            "{path}"
        );
    }
}
