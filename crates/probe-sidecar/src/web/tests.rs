mod model;
mod stall;
mod startup;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use probe::{Clock, ProbeError, Verdict};
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::attempt::{Attempt, AttemptRunner};
use crate::config::{self, ParseOptions};
use crate::outcome::{AttemptOutcome, FailureReason};

/// Port 1 succeeds, port 2 fails, port 3 cannot be probed, and port 4 hangs.
struct ByPort;

#[async_trait]
impl AttemptRunner for ByPort {
    async fn run(&self, attempt: &Attempt, _: Duration) -> Result<AttemptOutcome, ProbeError> {
        let Some(probe::ResolvedHandler::Tcp { port, .. }) = attempt.action() else {
            panic!("{attempt:?}");
        };
        let (verdict, reason, output) = match port {
            1 => (Verdict::Success, None, ""),
            2 => (
                Verdict::Failure,
                Some(FailureReason {
                    kind: "status",
                    code: Some(500),
                }),
                "it is\nbroken",
            ),
            3 => return Err(ProbeError::unknown("no such command")),
            _ => std::future::pending().await,
        };
        Ok(AttemptOutcome {
            verdict,
            reason,
            output: output.to_owned(),
            took: Duration::from_millis(3),
        })
    }
}

const PROBES: &str = "
targets:
- name: good
  livenessProbe: {tcpSocket: {port: 1}}
  readinessProbe: {tcpSocket: {port: 1}}
- name: bad
  readinessProbe: {tcpSocket: {port: 2}, failureThreshold: 1}
- name: odd
  readinessProbe: {tcpSocket: {port: 3}}
- name: hanging
  readinessProbe: {tcpSocket: {port: 4}, timeoutSeconds: 600}
- name: calm
  dependency: true
  livenessProbe: {tcpSocket: {port: 4}, timeoutSeconds: 600, extensions: {healthyWhen: [neverRun], jitterMilliseconds: 0}}
groups:
- {name: some, members: [readyz/good, readyz/bad], require: any}
- {name: every, members: [readyz/good, readyz/bad]}
";

async fn app() -> AppState {
    let engine = Engine::new(Clock::new(Timestamp::UNIX_EPOCH, 1.0), Arc::new(ByPort));
    let config = config::parse("c", PROBES.as_bytes(), &ParseOptions::default()).unwrap();
    engine.apply(&config).unwrap();
    let ready = Readiness::default();
    ready.open();
    tokio::time::sleep(Duration::from_millis(100)).await;
    AppState { engine, ready }
}

async fn get(app: &AppState, path: &str, accept: &str) -> (StatusCode, String) {
    get_as("curl/8", app, path, accept).await
}

async fn get_as(agent: &str, app: &AppState, path: &str, accept: &str) -> (StatusCode, String) {
    let request = Request::get(path).header(header::ACCEPT, accept);
    let request = request.header(header::USER_AGENT, agent);
    let request = request.body(Body::empty()).unwrap();
    let answer = router(app, &Metrics::default())
        .oneshot(request)
        .await
        .unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[track_caller]
fn assert_response(answer: &(StatusCode, String), status: u16, body: &str) {
    assert_eq!((answer.0.as_u16(), answer.1.as_str()), (status, body));
}

#[tokio::test(start_paused = true)]
async fn endpoints_respond_in_the_format_of_the_api_server() {
    let app = app().await;
    for (path, status, body) in [
        ("/healthz", 200, "ok"),
        ("/livez", 200, "ok"),
        (
            "/livez?verbose",
            200,
            "[+]good ok: took 3 ms\nlivez check passed\n",
        ),
        ("/startupz", 200, "ok"),
        (
            "/readyz",
            503,
            "[+]good ok: took 3 ms\n[-]bad failed: status 500: it is broken (took 3 ms)\n\
             [-]odd unknown: no such command (took 0 ms)\n[-]hanging never run\nreadyz check failed\n",
        ),
        (
            "/readyz?exclude=bad&exclude=odd&exclude=hanging&exclude=x&verbose",
            200,
            "[+]good ok: took 3 ms\nwarn: some health checks cannot be excluded: no matches for \"x\"\nreadyz check passed\n",
        ),
        ("/readyz/good", 200, "ok"),
        (
            "/readyz/hanging",
            503,
            "[-]hanging never run\nreadyz/hanging check failed\n",
        ),
        (
            "/livez/calm?verbose",
            200,
            "[+]calm never run\nlivez/calm check passed\n",
        ),
        ("/livez/bad", 404, "target \"bad\" has no livenessProbe\n"),
        ("/livez/x", 404, "target \"x\" not found\n"),
        ("/groups/some", 200, "ok"),
        (
            "/groups/every",
            503,
            "[+]readyz/good ok: took 3 ms\n[-]readyz/bad failed: status 500: it is broken (took 3 ms)\n\
             1 of 2 healthy, required: all\ngroups/every check failed\n",
        ),
        ("/groups/x", 404, "group \"x\" not found\n"),
    ] {
        assert_response(&get(&app, path, "*/*").await, status, body);
    }
}

#[tokio::test(start_paused = true)]
async fn old_result_is_reported_as_stale() {
    let app = app().await;
    // The engine stops without the service.
    app.engine.stop();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (status, body) = get(&app, "/livez", "*/*").await;
    assert_eq!(status, 503);
    assert!(
        body.starts_with("[-]good stale: no result for 60 s\n"),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn json_report_has_status_reason_and_durations() {
    let app = app().await;
    let (status, body) = get(&app, "/readyz/bad", "application/json").await;
    assert_eq!(status, 503);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"endpoint": "readyz/bad", "healthy": false, "checks": [{
            "name": "bad", "probe": "readyz", "status": "unhealthy", "healthy": false, "reason": "status", "code": 500,
            "output": "it is\nbroken", "durationMs": 3.0, "ageMs": 98,
        }]})
    );
}

#[tokio::test(start_paused = true)]
async fn stopping_sidecar_is_unready_with_a_note() {
    let app = app().await;
    app.ready.close();
    app.engine.stop();
    let (status, body) = get(&app, "/readyz/good", "*/*").await;
    assert_eq!(status, 503);
    assert!(body.contains("probe-sidecar is shutting down"), "{body}");
    let (status, body) = get(&app, "/livez", "*/*").await;
    assert_eq!(
        status, 200,
        "a shutdown of the sidecar must not restart a container"
    );
    assert!(body.contains("probe-sidecar is shutting down"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn state_of_all_probes_is_one_json_object() {
    let app = app().await;
    let (status, body) = get(&app, "/probes", "*/*").await;
    assert_eq!(status, 200);
    let body: Value = serde_json::from_str(&body).unwrap();
    let names: Vec<&str> = body["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| probe["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "livez/good",
            "readyz/good",
            "readyz/bad",
            "readyz/odd",
            "readyz/hanging",
            "livez/calm"
        ]
    );
    assert_eq!(body["probes"][2]["transitions"][0]["to"], "unhealthy");
    assert_eq!(body["groups"][0]["healthy"], true);
    let (_, one) = get(&app, "/probes/bad", "*/*").await;
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["probes"][0]["history"][0]["result"], "failure");
    assert_eq!(get(&app, "/probes/x", "*/*").await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn stream_starts_sends_results_and_ends_with_the_engine() {
    let app = app().await;
    let request = Request::get("/probes/stream").body(Body::empty()).unwrap();
    let answer = router(&app, &Metrics::default())
        .oneshot(request)
        .await
        .unwrap();
    let mut body = answer.into_body();
    let mut next = async || {
        let frame = body.frame().await?.unwrap().into_data().unwrap();
        Some(String::from_utf8(frame.to_vec()).unwrap())
    };
    assert_eq!(next().await.unwrap(), "event: started\ndata: {}\n\n");
    let result = next().await.unwrap();
    assert!(
        result.starts_with("event: result\ndata: {\"name\":\"livez/good\",\"status\":\"healthy\""),
        "{result}"
    );
    app.engine.stop();
    let mut last = String::new();
    while let Some(message) = next().await {
        last = message;
    }
    assert_eq!(last, "event: stopped\ndata: {}\n\n");
}

#[tokio::test(start_paused = true)]
async fn metrics_have_the_names_and_labels_of_the_kubelet() {
    let app = app().await;
    let metrics = Metrics::default();
    let probes = crate::metrics::Probes {
        engine: app.engine,
        pod: crate::metrics::Pod {
            name: "p".to_owned(),
            namespace: "n".to_owned(),
            uid: "u".to_owned(),
        },
    };
    metrics.register(|registry| registry.register_collector(Box::new(probes)));
    let page = metrics.encode().unwrap();
    for line in [
        "prober_probe_total{probe_type=\"Readiness\",result=\"failed\",container=\"bad\",pod=\"p\",namespace=\"n\",pod_uid=\"u\"} 1",
        "prober_probe_duration_seconds_bucket{le=\"0.005\",probe_type=\"Liveness\",container=\"good\",pod=\"p\",namespace=\"n\"} 1",
        "prober_probe_duration_seconds_count{probe_type=\"Readiness\",container=\"bad\",pod=\"p\",namespace=\"n\"} 0",
        "probe_sidecar_probe_errors_total{probe_type=\"Readiness\",container=\"odd\",pod=\"p\",namespace=\"n\"} 1",
        "probe_sidecar_probe_failures_total{probe_type=\"Readiness\",container=\"bad\",pod=\"p\",namespace=\"n\",reason=\"status\"} 1",
        "probe_sidecar_probe_status{probe_type=\"Readiness\",container=\"hanging\",pod=\"p\",namespace=\"n\",status=\"neverRun\"} 1",
        "probe_sidecar_probe_healthy{probe_type=\"Liveness\",container=\"calm\",pod=\"p\",namespace=\"n\"} 1",
        "probe_sidecar_group_healthy{group=\"every\"} 0",
        "probe_sidecar_schedule_delay_seconds_count 6",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    // No probe has TLS.
    let names = crate::metrics::NAMES.into_iter();
    for name in names.filter(|name| !name.contains("certificate")) {
        assert!(page.contains(&format!("\n{name}")), "{name}");
    }
    // One histogram of durations for each of six probes, and one of schedule delays.
    assert_eq!(http_service::exposition::check_histograms(&page), Ok(7));
}

#[test]
fn any_request_gets_a_known_status() {
    use proptest::prelude::*;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let app = runtime.block_on(app());
    let path = "/(livez|readyz|groups|probes|assets|)(/[ -~é]{0,20})?([?][ -~]{0,20})?";
    proptest!(|(path in path, accept in "[ -~]{0,30}")| {
        let request = Request::get(path.as_str()).header(header::ACCEPT, accept).body(Body::empty());
        if let Ok(request) = request {
            let answer = runtime.block_on(router(&app, &Metrics::default()).oneshot(request)).unwrap();
            let known = [200, 400, 404, 503];
            prop_assert!(known.contains(&answer.status().as_u16()), "{path}: {}", answer.status());
        }
    });
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_the_readme_are_served() {
    let app = app().await;
    let readme = include_str!("../../README.md");
    let rows = readme.lines().filter(|line| line.starts_with("| `GET /"));
    let mut seen = 0;
    for cell in rows.filter_map(|row| row.split(" | ").next()) {
        for path in cell.split('`').filter(|part| part.contains('/')) {
            let path = path.trim_start_matches("GET ");
            let path = path
                .replace("startupz/{target}", "startupz")
                .replace("{target}", "good")
                .replace("{name}", "some");
            let request = Request::get(&path).body(Body::empty()).unwrap();
            let answer = router(&app, &Metrics::default())
                .oneshot(request)
                .await
                .unwrap();
            assert_ne!(answer.status(), 404, "{path}");
            seen += 1;
        }
    }
    assert_eq!(seen, 13);
}

#[tokio::test(start_paused = true)]
async fn page_shows_every_probe_and_escapes_output() {
    let app = app().await;
    let (status, page) = get(&app, "/", "text/html").await;
    assert_eq!(status, 200);
    for part in [
        "<span id=\"healthy\">3</span> of 6 probes are healthy",
        "data-probe=\"readyz/bad\" data-healthy=\"false\"",
        "Latest 1 attempts: 0 succeeded, 1 failed, 0 could not be made",
        "<span class=\"badge neverRun\">never run</span>",
        "it is\nbroken",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
}
