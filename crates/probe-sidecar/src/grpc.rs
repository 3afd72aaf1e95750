//! What is known, for gRPC clients: `grpc.health.v1` with Check, List and Watch.
//!
//! A service is named as an endpoint is, without its first slash: `readyz`, `livez/TARGET`, `groups/NAME`. The empty name
//! is the pod's readiness.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, Stream};
use probe::ProbeKind;
use tokio::net::TcpListener;
use tokio::sync::broadcast::Receiver;
use tokio::time::sleep;
use tonic::body::Body;
use tonic::codegen::{Service, StdError, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::engine::state::Status as Known;
use crate::engine::{Engine, Entry, Event};
use crate::spec::{endpoint, kind_of};
use crate::web::App;
use crate::web::health::{KUBELET_AGENT, KUBELET_FAILURE_THRESHOLD};

mod connection;
mod message;

pub use connection::CONNECTIONS;
use message::{CheckRequest, CheckResponse, ListRequest, ListResponse, Said};

/// A result can grow stale without anything happening, so a watch looks by itself, too.
const LOOK: Duration = Duration::from_secs(1);
/// So many calls of one connection at a time.
const CALLS: u32 = 64;

/// Serves until `end`, and the streams until the engine stops.
///
/// # Errors
/// When the connections cannot be served.
pub async fn serve(
    listener: TcpListener,
    app: App,
    end: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    tonic::transport::Server::builder()
        .max_concurrent_streams(CALLS)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .add_service(Health(app))
        .serve_with_incoming_shutdown(connection::accepted(listener), end)
        .await
}

/// What is said of a service; none if there is none of that name.
fn serving(app: &App, service: &str) -> Option<Said> {
    let engine = &app.engine;
    let (set, now) = (engine.set(), engine.now());
    let ending = engine.is_stopped() || !app.ready.is_open();
    let plain = |healthy| {
        if healthy {
            Said::Serving
        } else {
            Said::NotServing
        }
    };
    let pod = |kind: ProbeKind| {
        let healthy = set
            .of_pod(kind)
            .all(|entry| entry.is_healthy(entry.status(now)));
        plain(healthy && !(ending && kind == ProbeKind::Readiness))
    };
    if service.is_empty() {
        return Some(pod(ProbeKind::Readiness));
    }
    let Some((first, name)) = service.split_once('/') else {
        return Some(pod(kind_of(service)?));
    };
    if first == "groups" {
        let standing = set.standing(set.group(name)?, now);
        return Some(plain(standing.healthy && !ending));
    }
    let entry = set.target(name)?.probe(kind_of(first)?)?;
    if ending && entry.spec.kind == ProbeKind::Readiness {
        return Some(Said::NotServing);
    }
    Some(of(entry, now))
}

#[cfg(test)]
pub(crate) fn is_serving(app: &App, service: &str) -> bool {
    serving(app, service) == Some(Said::Serving)
}

fn of(entry: &Entry, now: Duration) -> Said {
    let known = entry.status(now);
    match known {
        _ if entry.is_healthy(known) => Said::Serving,
        Known::Healthy | Known::Unhealthy => Said::NotServing,
        Known::NeverRun | Known::Stale | Known::Unknown => Said::Unknown,
    }
}

fn is_kubelet<T>(request: &Request<T>) -> bool {
    let agent = request.metadata().get("user-agent");
    agent.is_some_and(|agent| agent.as_bytes().starts_with(KUBELET_AGENT.as_bytes()))
}

/// Counts an unhealthy answer on a target's liveness to the kubelet.
fn count_poll(app: &App, service: &str) {
    let set = app.engine.set();
    let target = service.split_once('/').and_then(|(kind, name)| {
        let kind = kind_of(kind)?;
        set.target(name)?.probe(kind)
    });
    if let Some(entry) = target {
        app.engine.count_poll(entry, KUBELET_FAILURE_THRESHOLD);
    }
}

/// Every service there is.
fn names(engine: &Engine) -> Vec<String> {
    let set = engine.set();
    let mut names = vec![String::new()];
    names.extend(ProbeKind::ALL.map(|kind| endpoint(kind).to_owned()));
    names.extend(set.probes().map(|entry| entry.name()));
    names.extend(
        set.groups
            .iter()
            .map(|group| format!("groups/{}", group.spec.name)),
    );
    names
}

#[derive(Clone)]
struct Health(App);

impl NamedService for Health {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl<B> Service<http::Request<B>> for Health
where
    B: tonic::codegen::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let app = self.0.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/grpc.health.v1.Health/Check" => {
                    Grpc::new(ProstCodec::default())
                        .unary(Check(app), request)
                        .await
                }
                "/grpc.health.v1.Health/List" => {
                    Grpc::new(ProstCodec::default())
                        .unary(List(app), request)
                        .await
                }
                "/grpc.health.v1.Health/Watch" => {
                    let mut grpc = Grpc::new(ProstCodec::default());
                    grpc.server_streaming(Watch(app), request).await
                }
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

type Answer<T> = Result<Response<T>, Status>;

struct Check(App);

impl UnaryService<CheckRequest> for Check {
    type Response = CheckResponse;
    type Future = std::future::Ready<Answer<CheckResponse>>;

    fn call(&mut self, request: Request<CheckRequest>) -> Self::Future {
        let service = &request.get_ref().service;
        let found = serving(&self.0, service);
        if found.is_some_and(|found| found != Said::Serving) && is_kubelet(&request) {
            count_poll(&self.0, service);
        }
        let answer = found.map(|serving| Response::new(serving.into()));
        std::future::ready(answer.ok_or_else(|| Status::not_found("unknown service")))
    }
}

struct List(App);

impl UnaryService<ListRequest> for List {
    type Response = ListResponse;
    type Future = std::future::Ready<Answer<ListResponse>>;

    fn call(&mut self, _: Request<ListRequest>) -> Self::Future {
        let statuses = names(&self.0.engine)
            .into_iter()
            .filter_map(|name| Some((name.clone(), serving(&self.0, &name)?.into())))
            .collect();
        std::future::ready(Ok(Response::new(ListResponse { statuses })))
    }
}

struct Watch(App);

type Responses = Pin<Box<dyn Stream<Item = Result<CheckResponse, Status>> + Send>>;

impl ServerStreamingService<CheckRequest> for Watch {
    type Response = CheckResponse;
    type ResponseStream = Responses;
    type Future = std::future::Ready<Answer<Responses>>;

    fn call(&mut self, request: Request<CheckRequest>) -> Self::Future {
        let watcher = Watcher {
            app: self.0.clone(),
            service: request.into_inner().service,
            changes: self.0.engine.changes(),
            last: None,
            over: false,
        };
        let responses = stream::unfold(watcher, Watcher::next);
        std::future::ready(Ok(Response::new(Box::pin(responses))))
    }
}

/// Tells a status whenever it is another one than before, and ends with the engine.
struct Watcher {
    app: App,
    service: String,
    changes: Receiver<Event>,
    last: Option<Said>,
    over: bool,
}

impl Watcher {
    async fn next(mut self) -> Option<(Result<CheckResponse, Status>, Self)> {
        loop {
            if self.over {
                return None;
            }
            self.over = self.app.engine.is_stopped();
            let now = serving(&self.app, &self.service).unwrap_or(Said::ServiceUnknown);
            if self.last.replace(now) != Some(now) {
                return Some((Ok(now.into()), self));
            }
            if self.over {
                return None;
            }
            tokio::select! {
                // What happened matters less than that something did: it is looked at anew.
                _ = self.changes.recv() => {}
                () = sleep(LOOK) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
