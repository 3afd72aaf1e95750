//! The Kubernetes API over the store: one set of handlers for every kind, told what to do by the kind's row.
//!
//! The router does not ask who calls: in this process it is trusted, and whoever serves it to others puts the check for
//! the token in front.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use component_helpers::supervisor::{Component, Supervisor};
use container_runtime::Runtime;
use http::Method;
use probe::Clock;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::kinds::Subresource;
use crate::store::Store;

mod allocate;
mod body;
mod container;
mod create;
mod delete;
mod discovery;
mod evict;
mod failure;
mod forward;
mod health;
mod image_warning;
mod log;
mod managed;
mod messages;
mod meta;
mod page;
mod path;
mod protobuf;
mod proxy;
mod query;
mod read;
mod remote;
mod review;
mod scale;
mod selector;
mod socket;
mod spdy;
mod subresource;
mod table;
mod update;
mod watch;

pub use failure::Failure;
use path::Path;
use query::Query;
use socket::Pieces;

/// The largest request body that is read, as etcd's limit makes it in Kubernetes.
const MAX_BODY: usize = 3 << 20;

/// Name of the API and its server among the components.
const COMPONENT: &str = "kube-apiserver";

/// The API. Clones share it.
#[derive(Clone)]
pub struct Api {
    store: Store,
    clock: Clock,
    /// Makes the parts of names that the API server chooses.
    names: Arc<meta::Names>,
    /// Whoever holds it chooses addresses and ports.
    allocation: Arc<Mutex<()>>,
    /// Who has the logs and runs the commands; none where only objects are served.
    runtime: Option<Arc<dyn Runtime>>,
    /// The components whose health it serves; it is one of them.
    supervisor: Supervisor,
    component: Component,
}

impl Api {
    /// An API without objects.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let supervisor = Supervisor::new(clock.clone(), CancellationToken::new());
        Self {
            component: supervisor.component(COMPONENT),
            supervisor,
            store: Store::default(),
            clock,
            names: Arc::default(),
            allocation: Arc::default(),
            runtime: None,
        }
    }

    /// The API with the health of the components of `supervisor`.
    #[must_use]
    pub fn with_supervisor(self, supervisor: Supervisor) -> Self {
        Self {
            component: supervisor.component(COMPONENT),
            supervisor,
            ..self
        }
    }

    /// The component that the API and its server are.
    pub(crate) fn component(&self) -> &Component {
        &self.component
    }

    /// The API with the containers of `runtime` behind its pods.
    #[must_use]
    pub fn with_runtime(self, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            runtime: Some(runtime),
            ..self
        }
    }

    /// Held by whoever chooses addresses and ports.
    fn allocating(&self) -> MutexGuard<'_, ()> {
        self.allocation
            .lock()
            .expect("nothing panics while it allocates")
    }

    /// The API as a service.
    pub fn router(&self) -> Router {
        let component = self.component.clone();
        let on_panic = move |panic: Box<dyn Any + Send>| {
            component.count_panic(&*panic);
            let message = "This request caused apiserver to panic. Look in the logs for details.";
            Failure::internal(message).into_response()
        };
        Router::new()
            .fallback(handle)
            .layer(CatchPanicLayer::custom(on_panic))
            .with_state(self.clone())
    }

    /// A client of this API that needs no socket.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.router(), "default")
    }
}

async fn handle(State(api): State<Api>, request: Request) -> Response {
    match respond(&api, request).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn respond(api: &Api, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    api.component.item_failpoint(parts.uri.path());
    if parts.method == Method::GET
        && let Some(answer) =
            health::respond(api, parts.uri.path(), parts.uri.query().unwrap_or_default())
    {
        return answer;
    }
    if parts.method == Method::GET
        && let Some(answer) = discovery::respond(parts.uri.path(), &parts.headers)
    {
        return answer;
    }
    let query = Query::parse(parts.uri.query().unwrap_or_default()).of_agent(&parts.headers);
    let form = table::Form::of(&parts.headers, &query);
    if let Some(review) = review::find(parts.uri.path()) {
        let body = body::Body::read(&parts.headers, body).await?;
        return review::respond(review, &parts.method, form, &body);
    }
    let (own, rest) = proxy::split(parts.uri.path());
    let path = Path::parse(own)?;
    if let Some(rest) = rest.map(str::to_owned) {
        return proxy::respond(api, &path, &rest, parts, body).await;
    }
    match (path.subresource, &parts.method) {
        (Some(Subresource::Log), &Method::GET) => {
            let response = log::respond(api, &path, &query).await?;
            return Ok(socket::answer(parts, response, Pieces::OfLog).await);
        }
        (Some(Subresource::Exec), &(Method::GET | Method::POST)) => {
            return remote::exec(api, &path, &query, parts).await;
        }
        (Some(Subresource::Attach), &(Method::GET | Method::POST)) => {
            return remote::attach(api, &path, &query, parts).await;
        }
        (Some(Subresource::PortForward), &(Method::GET | Method::POST)) => {
            return forward::respond(api, &path, parts).await;
        }
        _ => {}
    }
    let body = body::Body::read(&parts.headers, body).await?;
    match (parts.method.clone(), path.subresource) {
        (Method::GET, None) if query.watches() => {
            let response = watch::respond(api, &path, &query, form)?;
            Ok(socket::answer(parts, response, Pieces::OfWatch).await)
        }
        (Method::GET, None) => read::respond(api, &path, &query, form),
        (Method::POST, None) if path.name.is_none() => {
            let response = create::respond(api, &path, &query, &body)?;
            Ok(image_warning::append(api, &body.object()?, response).await)
        }
        (Method::PUT, None) if path.name.is_some() => update::put(api, &path, &query, &body),
        (Method::PATCH, None) if path.name.is_some() => update::patch(api, &path, &query, &body),
        (Method::DELETE, None) => delete::respond(api, &path, &query, &body),
        (method, Some(subresource)) => {
            subresource::respond(api, &path, subresource, &method, &query, &body)
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

/// An answer with a JSON body.
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
