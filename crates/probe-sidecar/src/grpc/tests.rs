use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Full};
use http_service::Readiness;
use jiff::Timestamp;
use probe::{Clock, ProbeError, Verdict};
use prost::Message;

use super::*;
use crate::attempt::{Attempt, AttemptRunner};
use crate::config::{self, ParseOptions};
use crate::outcome::AttemptOutcome;

/// Attempts that fail while the value is `true`.
#[derive(Default)]
struct Switch(Mutex<bool>);

#[async_trait]
impl AttemptRunner for Switch {
    async fn run(&self, _: &Attempt, _: Duration) -> Result<AttemptOutcome, ProbeError> {
        let verdict = if *self.0.lock().unwrap() {
            Verdict::Failure
        } else {
            Verdict::Success
        };
        Ok(AttemptOutcome {
            verdict,
            reason: None,
            output: String::new(),
            took: Duration::ZERO,
        })
    }
}

async fn app() -> (AppState, Arc<Switch>) {
    let switch = Arc::new(Switch::default());
    let engine = Engine::new(Clock::new(Timestamp::UNIX_EPOCH, 1.0), switch.clone());
    let text = b"targets: [{name: a, livenessProbe: {tcpSocket: {port: 1}, initialDelaySeconds: 600}, readinessProbe: {tcpSocket: {port: 1}, periodSeconds: 1, failureThreshold: 1}}]\n\
        groups: [{name: g, members: [readyz/a]}]";
    let config = config::parse("c", text, &ParseOptions::default()).unwrap();
    engine.apply(&config).unwrap();
    let ready = Readiness::default();
    ready.open();
    tokio::time::sleep(Duration::from_millis(10)).await;
    (AppState { engine, ready }, switch)
}

async fn call(app: &AppState, method: &str, message: &impl Message) -> http::Response<Body> {
    let mut body = vec![0];
    body.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    message.encode(&mut body).unwrap();
    let request = http::Request::post(format!("/grpc.health.v1.Health/{method}"))
        .header("content-type", "application/grpc")
        .body(Full::new(tonic::codegen::Bytes::from(body)))
        .unwrap();
    Health(app.clone()).call(request).await.unwrap()
}

/// Returns the next message of a response, or `None` at its end.
async fn message<T: Message + Default>(response: &mut http::Response<Body>) -> Option<T> {
    let frame = response.body_mut().frame().await?.unwrap();
    let data = frame.into_data().ok()?;
    Some(T::decode(&data[5..]).unwrap())
}

async fn check(app: &AppState, service: &str) -> Result<ServingStatus, Option<String>> {
    let service = service.to_owned();
    let mut response = call(app, "Check", &CheckRequest { service }).await;
    let status = response.headers().get("grpc-status").cloned();
    match message::<CheckResponse>(&mut response).await {
        Some(answer) => Ok(ServingStatus::try_from(answer.status).unwrap()),
        None => Err(status.map(|status| status.to_str().unwrap().to_owned())),
    }
}

#[tokio::test(start_paused = true)]
async fn service_has_the_name_of_its_endpoint() {
    let (app, _) = app().await;
    for (service, expected) in [
        ("", Ok(ServingStatus::Serving)),
        ("readyz", Ok(ServingStatus::Serving)),
        ("readyz/a", Ok(ServingStatus::Serving)),
        ("groups/g", Ok(ServingStatus::Serving)),
        ("livez", Ok(ServingStatus::Serving)),
        ("livez/a", Ok(ServingStatus::Serving)),
        ("startupz", Ok(ServingStatus::Serving)),
        ("startupz/a", Err(Some("5".to_owned()))),
        ("x", Err(Some("5".to_owned()))),
    ] {
        assert_eq!(check(&app, service).await, expected, "{service:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn list_has_every_service() {
    let (app, _) = app().await;
    let mut response = call(&app, "List", &ListRequest {}).await;
    let list: ListResponse = message(&mut response).await.unwrap();
    let mut names: Vec<String> = list.statuses.into_keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "", "groups/g", "livez", "livez/a", "readyz", "readyz/a", "startupz"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn watch_sends_changes_and_ends_with_the_engine() {
    let (app, switch) = app().await;
    let service = "readyz/a".to_owned();
    let mut response = call(&app, "Watch", &CheckRequest { service }).await;
    let mut next = async || {
        Some(
            ServingStatus::try_from(message::<CheckResponse>(&mut response).await?.status).unwrap(),
        )
    };
    assert_eq!(next().await, Some(ServingStatus::Serving));
    *switch.0.lock().unwrap() = true;
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    *switch.0.lock().unwrap() = false;
    assert_eq!(next().await, Some(ServingStatus::Serving));
    app.engine.stop();
    assert_eq!(
        next().await,
        Some(ServingStatus::NotServing),
        "readiness ends with the engine"
    );
    assert_eq!(next().await, None);
}

#[tokio::test(start_paused = true)]
async fn watch_of_an_unknown_service_waits_for_it() {
    let (app, _) = app().await;
    let service = "readyz/b".to_owned();
    let mut response = call(&app, "Watch", &CheckRequest { service }).await;
    let first: CheckResponse = message(&mut response).await.unwrap();
    assert_eq!(
        ServingStatus::try_from(first.status),
        Ok(ServingStatus::ServiceUnknown)
    );
    let text = b"targets: [{name: b, readinessProbe: {tcpSocket: {port: 1}}}]";
    let config = config::parse("c", text, &ParseOptions::default()).unwrap();
    app.engine.apply(&config).unwrap();
    let mut seen = Vec::new();
    while seen.last() != Some(&Ok(ServingStatus::Serving)) {
        let next: CheckResponse = message(&mut response).await.unwrap();
        seen.push(ServingStatus::try_from(next.status));
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_method_is_unimplemented() {
    let (app, _) = app().await;
    let response = call(&app, "Guess", &ListRequest {}).await;
    assert_eq!(response.headers()["grpc-status"], "12");
}
