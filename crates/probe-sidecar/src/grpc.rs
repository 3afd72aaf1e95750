//! Health service for gRPC clients: `grpc.health.v1` with Check, List and Watch.
//!
//! A service is named like an endpoint without the leading slash: `readyz`, `livez/TARGET`, `groups/NAME`. The empty name
//! is the readiness of the pod.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
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

use crate::engine::state::Status as ProbeStatus;
use crate::engine::{Engine, Event, ProbeHandle};
use crate::spec::{endpoint_name, kind_from_endpoint};
use crate::web::AppState;
use crate::web::health::{KUBELET_AGENT, KUBELET_FAILURE_THRESHOLD};

mod connection;
mod message;

pub use connection::MAX_CONNECTIONS;
use message::{CheckRequest, CheckResponse, ListRequest, ListResponse, ServingStatus};

/// Interval of re-evaluation in a watch: a group may change by the age of a result, without an event.
const STALE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of concurrent calls of a connection.
const MAX_CONCURRENT_STREAMS: u32 = 64;

/// Serves until `end`; streams are served until the engine stops.
///
/// # Errors
/// Fails if connections cannot be accepted.
pub async fn serve(
    listener: TcpListener,
    app: AppState,
    end: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .add_service(Health(app))
        .serve_with_incoming_shutdown(connection::accept(listener), end)
        .await
}

/// Returns the health status of `service`, or `None` if the service is unknown.
fn service_status(app: &AppState, service: &str) -> Option<ServingStatus> {
    let engine = &app.engine;
    let (snapshot, now) = (engine.snapshot(), engine.now());
    let is_stopping = engine.is_stopped() || !app.ready.is_open();
    let to_status = |healthy| {
        if healthy {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        }
    };
    let pod = |kind: ProbeKind| {
        let healthy = snapshot
            .pod_probes(kind)
            .all(|entry| entry.is_healthy(entry.status(now)));
        to_status(healthy && !(is_stopping && kind == ProbeKind::Readiness))
    };
    if service.is_empty() {
        return Some(pod(ProbeKind::Readiness));
    }
    let Some((first, name)) = service.split_once('/') else {
        return Some(pod(kind_from_endpoint(service)?));
    };
    if first == "groups" {
        let status = snapshot.group_status(snapshot.group(name)?, now);
        return Some(to_status(status.healthy && !is_stopping));
    }
    let entry = snapshot.target(name)?.probe(kind_from_endpoint(first)?)?;
    if is_stopping && entry.spec.kind == ProbeKind::Readiness {
        return Some(ServingStatus::NotServing);
    }
    Some(serving_status(entry, now))
}

#[cfg(test)]
pub(crate) fn is_serving(app: &AppState, service: &str) -> bool {
    service_status(app, service) == Some(ServingStatus::Serving)
}

fn serving_status(entry: &ProbeHandle, now: Duration) -> ServingStatus {
    let status = entry.status(now);
    match status {
        _ if entry.is_healthy(status) => ServingStatus::Serving,
        ProbeStatus::Healthy | ProbeStatus::Unhealthy => ServingStatus::NotServing,
        ProbeStatus::NeverRun | ProbeStatus::Stale | ProbeStatus::Unknown => ServingStatus::Unknown,
    }
}

fn is_kubelet<T>(request: &Request<T>) -> bool {
    let agent = request.metadata().get("user-agent");
    agent.is_some_and(|agent| agent.as_bytes().starts_with(KUBELET_AGENT.as_bytes()))
}

/// Returns the probe of a service `KIND/TARGET`.
fn service_probe(engine: &Engine, service: &str) -> Option<Arc<ProbeHandle>> {
    let (kind, name) = service.split_once('/')?;
    let kind = kind_from_endpoint(kind)?;
    engine.snapshot().target(name)?.probe(kind).cloned()
}

/// Returns the names of all services.
fn service_names(engine: &Engine) -> Vec<String> {
    let snapshot = engine.snapshot();
    let mut names = vec![String::new()];
    names.extend(ProbeKind::ALL.map(|kind| endpoint_name(kind).to_owned()));
    names.extend(snapshot.probes().map(|entry| entry.name()));
    names.extend(
        snapshot
            .groups
            .iter()
            .map(|group| format!("groups/{}", group.spec.name)),
    );
    names
}

#[derive(Clone)]
struct Health(AppState);

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

type GrpcResult<T> = Result<Response<T>, Status>;

struct Check(AppState);

impl UnaryService<CheckRequest> for Check {
    type Response = CheckResponse;
    type Future = std::future::Ready<GrpcResult<CheckResponse>>;

    fn call(&mut self, request: Request<CheckRequest>) -> Self::Future {
        let (engine, service) = (&self.0.engine, &request.get_ref().service);
        let polled = service_probe(engine, service).filter(|_| is_kubelet(&request));
        if let Some(entry) = &polled {
            engine.record_poll(entry);
        }
        let found = service_status(&self.0, service);
        if let Some(entry) = &polled
            && found.is_some_and(|found| found != ServingStatus::Serving)
        {
            engine.count_poll(entry, KUBELET_FAILURE_THRESHOLD);
        }
        let response = found.map(|serving| Response::new(serving.into()));
        std::future::ready(response.ok_or_else(|| Status::not_found("unknown service")))
    }
}

struct List(AppState);

impl UnaryService<ListRequest> for List {
    type Response = ListResponse;
    type Future = std::future::Ready<GrpcResult<ListResponse>>;

    fn call(&mut self, _: Request<ListRequest>) -> Self::Future {
        let statuses = service_names(&self.0.engine)
            .into_iter()
            .filter_map(|name| Some((name.clone(), service_status(&self.0, &name)?.into())))
            .collect();
        std::future::ready(Ok(Response::new(ListResponse { statuses })))
    }
}

struct Watch(AppState);

type Responses = Pin<Box<dyn Stream<Item = Result<CheckResponse, Status>> + Send>>;

impl ServerStreamingService<CheckRequest> for Watch {
    type Response = CheckResponse;
    type ResponseStream = Responses;
    type Future = std::future::Ready<GrpcResult<Responses>>;

    fn call(&mut self, request: Request<CheckRequest>) -> Self::Future {
        let watcher = Watcher {
            app: self.0.clone(),
            service: request.into_inner().service,
            changes: self.0.engine.changes(),
            last: None,
            is_closed: false,
        };
        let responses = stream::unfold(watcher, Watcher::next);
        std::future::ready(Ok(Response::new(Box::pin(responses))))
    }
}

/// Stream of changes of a status; ends with the engine.
struct Watcher {
    app: AppState,
    service: String,
    changes: Receiver<Event>,
    last: Option<ServingStatus>,
    is_closed: bool,
}

impl Watcher {
    async fn next(mut self) -> Option<(Result<CheckResponse, Status>, Self)> {
        loop {
            if self.is_closed {
                return None;
            }
            self.is_closed = self.app.engine.is_stopped();
            let now =
                service_status(&self.app, &self.service).unwrap_or(ServingStatus::ServiceUnknown);
            if self.last.replace(now) != Some(now) {
                return Some((Ok(now.into()), self));
            }
            if self.is_closed {
                return None;
            }
            tokio::select! {
                // Any event triggers a re-evaluation.
                _ = self.changes.recv() => {}
                () = sleep(STALE_CHECK_INTERVAL) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
