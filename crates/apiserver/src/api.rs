//! REST handlers over the object store. Handlers are generic; everything particular to a kind is in its registry entry.
//!
//! The router does not authenticate: callers in this process are trusted, and [`crate::serve`] checks the bearer token of
//! network clients before it passes a request on.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use component_helpers::supervisor::{Component, Supervisor};
use container_runtime::Runtime;
use http::Method;
use http::request::Parts;
use probe::Clock;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::kinds::Subresource;
use crate::store::Store;

mod accept;
mod body;
mod container;
mod create;
mod delete;
mod discovery;
mod eviction;
mod health;
mod image_warning;
mod log;
mod managed_fields;
mod meta;
mod openapi;
mod pagination;
mod patch;
mod protobuf;
mod proxy;
mod query;
mod read;
mod request_info;
mod review;
mod scale;
mod selector;
mod status;
mod status_error;
mod streaming;
mod subresource;
mod table;
mod update;
mod warning;
mod watch;

use query::Query;
use request_info::RequestInfo;
pub use status_error::StatusError;
use streaming::websocket_stream::{StreamKind, upgrade_if_requested};
use streaming::{portforward, remotecommand};
use table::ResponseFormat;

/// Maximum length of a request body in bytes, as in kube-apiserver (`MaxRequestBodyBytes`).
const MAX_BODY_LEN: usize = 3 << 20;

/// Name of the API server in the supervisor's health report and metrics.
const COMPONENT: &str = "kube-apiserver";

/// API server without a network listener. Clones share the store.
#[derive(Clone)]
pub struct Api {
    store: Store,
    clock: Clock,
    /// Serializes the allocation of cluster IPs and node ports.
    allocation: Arc<Mutex<()>>,
    /// Container runtime for logs, exec, attach and port-forward; `None` in an API-only server.
    runtime: Option<Arc<dyn Runtime>>,
    /// Reports the health of the node's components, of which the API server is one.
    supervisor: Supervisor,
    component: Component,
}

impl Api {
    /// Creates an API server with an empty store.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let supervisor = Supervisor::new(clock.clone(), CancellationToken::new());
        Self {
            component: supervisor.component(COMPONENT),
            supervisor,
            store: Store::default(),
            clock,

            allocation: Arc::default(),
            runtime: None,
        }
    }

    /// Serves the health of the components of `supervisor`, and registers the API server there.
    #[must_use]
    pub fn with_supervisor(self, supervisor: Supervisor) -> Self {
        Self {
            component: supervisor.component(COMPONENT),
            supervisor,
            ..self
        }
    }

    pub(crate) fn component(&self) -> &Component {
        &self.component
    }

    /// Serves logs, exec, attach, port-forward and proxy of pods from `runtime`.
    #[must_use]
    pub fn with_runtime(self, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            runtime: Some(runtime),
            ..self
        }
    }

    /// Locks the allocation of cluster IPs and node ports. The caller keeps the lock until the object is stored, so that
    /// no other request gets the same address or port.
    fn lock_allocation(&self) -> MutexGuard<'_, ()> {
        // The mutex protects no data, so a panic leaves nothing inconsistent.
        self.allocation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the API as a service. A handler that panics answers 500 and is counted in the component's metrics.
    pub fn router(&self) -> Router {
        let component = self.component.clone();
        let on_panic = move |panic: Box<dyn Any + Send>| {
            component.count_panic(&*panic);
            let message = "This request caused apiserver to panic. Look in the logs for details.";
            StatusError::internal(message).into_response()
        };
        Router::new()
            .fallback(handle)
            .layer(CatchPanicLayer::custom(on_panic))
            .with_state(self.clone())
    }

    /// Returns a client that calls the router in this process, without a socket.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.router(), "default")
    }
}

async fn handle(State(api): State<Api>, request: Request) -> Response {
    match respond(&api, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn respond(api: &Api, request: Request) -> Result<Response, StatusError> {
    let (parts, body) = request.into_parts();
    api.component.item_failpoint(parts.uri.path());
    if parts.method == Method::GET {
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let response = health::respond(api, path, query)
            .or_else(|| discovery::respond(path, &parts.headers))
            .or_else(|| openapi::respond(path, &parts.headers));
        if let Some(response) = response {
            return response;
        }
    }
    let query = Query::parse(parts.uri.query().unwrap_or_default()).with_user_agent(&parts.headers);
    let format = ResponseFormat::negotiate(&parts.headers, &query);
    if let Some(review) = review::find(parts.uri.path()) {
        let body = body::Body::read(&parts.headers, body).await?;
        return review::respond(review, &parts.method, format, &body);
    }
    let (own_path, proxied_path) = proxy::split_path(parts.uri.path());
    let info = RequestInfo::parse(own_path)?;
    let result = match proxied_path.map(str::to_owned) {
        Some(path) => proxy::respond(api, &info, &path, parts, body).await,
        None => respond_to_resource(api, &info, &query, format, parts, body).await,
    };
    let Some(deprecation) = info.kind.deprecation else {
        return result;
    };
    // kube-apiserver adds the warning before it handles the request, so errors have it too.
    let mut response = result.unwrap_or_else(StatusError::into_response);
    warning::append(response.headers_mut(), deprecation);
    Ok(response)
}

/// Serves a request for objects of a kind or for a subresource other than `proxy`.
async fn respond_to_resource(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    format: ResponseFormat,
    parts: Parts,
    body: Body,
) -> Result<Response, StatusError> {
    match (info.subresource, &parts.method) {
        (Some(Subresource::Log), &Method::GET) => {
            let response = log::respond(api, info, query).await?;
            return Ok(upgrade_if_requested(parts, response, StreamKind::Log).await);
        }
        (Some(Subresource::Exec), &(Method::GET | Method::POST)) => {
            return remotecommand::exec(api, info, query, parts).await;
        }
        (Some(Subresource::Attach), &(Method::GET | Method::POST)) => {
            return remotecommand::attach(api, info, query, parts).await;
        }
        (Some(Subresource::PortForward), &(Method::GET | Method::POST)) => {
            return portforward::respond(api, info, parts).await;
        }
        _ => {}
    }
    let body = body::Body::read(&parts.headers, body).await?;
    match (parts.method.clone(), info.subresource) {
        (Method::GET, None) if query.is_watch() => {
            let response = watch::respond(api, info, query, format)?;
            Ok(upgrade_if_requested(parts, response, StreamKind::Watch).await)
        }
        (Method::GET, None) => read::respond(api, info, query, format),
        (Method::POST, None) if info.name.is_none() => {
            let response = create::respond(api, info, query, &body)?;
            Ok(image_warning::append(api, &body.object()?, response).await)
        }
        (Method::PUT, None) if info.name.is_some() => update::put(api, info, query, &body),
        (Method::PATCH, None) if info.name.is_some() => update::patch(api, info, query, &body),
        (Method::DELETE, None) => delete::respond(api, info, query, &body),
        (method, Some(subresource)) => {
            subresource::respond(api, info, subresource, &method, query, &body)
        }
        _ => Err(StatusError::method_not_allowed()),
    }
}

/// Returns a response with a JSON body.
fn json(status: http::StatusCode, value: &impl serde::Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("JSON values serialise");
    Response::builder()
        .status(status)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .expect("a status and one header make a response")
}

#[cfg(test)]
mod tests;
