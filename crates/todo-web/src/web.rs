//! Pages, API, health endpoints.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::{Method, StatusCode, header};
use http_body_util::LengthLimitError;
use http_service::{Metrics, Readiness};
use jiff::Timestamp;
use tower_http::compression::CompressionLayer;

use self::error::AppError;
use self::visit::Visit;
use crate::args::{Args, Policy};
use crate::database::Database;
use crate::settings::Settings;

mod api;
mod error;
mod headers;
mod health;
mod json;
mod pages;
#[cfg(test)]
mod tests;
mod undo;
mod view;
mod visit;

pub(crate) use visit::parse_prefix;

/// Maximum size of a body in bytes: the longest text in its longest encoding, and the other fields of a form.
const MAX_BODY: usize = 64 * 1024;
/// Maximum time for a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// State of all handlers. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    database: Arc<Database>,
    settings: Settings,
    ready: Readiness,
    policy: Policy,
    path_prefix: String,
    started: Timestamp,
}

impl App {
    /// Returns the application of a database whose health check runs.
    #[must_use]
    pub fn new(database: Arc<Database>, settings: Settings, args: &Args, ready: Readiness) -> Self {
        Self(Arc::new(Inner {
            database,
            settings,
            ready,
            policy: args.ready,
            path_prefix: args.path_prefix.clone(),
            started: Timestamp::now(),
        }))
    }

    fn database(&self) -> &Database {
        &self.0.database
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }
}

/// Returns the router with every path of the service.
pub fn router(app: &App, metrics: &Metrics) -> Router {
    let pages = Router::new()
        .route("/", get(pages::home))
        .route("/list", get(pages::list))
        .route("/new", get(pages::new_form).post(pages::new))
        .route("/items/{id}/edit", get(pages::edit_form).post(pages::edit))
        .route("/items/{id}/done", post(pages::done))
        .route("/items/{id}/delete", post(pages::delete))
        .route("/diagnostics", get(pages::diagnostics))
        .route("/config", get(pages::config))
        .fallback(not_found)
        .method_not_allowed_fallback(pages::method_not_allowed);
    // Pages are not compressed: they contain a token and a visitor's text, which the size of a response would reveal.
    let api = Router::new()
        .route("/api/todos", get(api::list).post(api::create))
        .route(
            "/api/todos/{id}",
            get(api::get).patch(api::update).delete(api::delete),
        )
        .route("/api/openapi.json", get(api::description))
        .method_not_allowed_fallback(api::method_not_allowed)
        .layer(middleware::from_fn(json::tag_responses))
        .layer(CompressionLayer::new());
    let assets = http_service::assets::router(
        include_str!("../assets/style.css"),
        include_str!("../assets/app.js"),
        include_str!("../assets/icon.svg"),
    );
    let router = pages
        .merge(api)
        .layer(middleware::from_fn_with_state(app.clone(), read_body))
        .layer(middleware::from_fn_with_state(app.clone(), visit::identify))
        .merge(assets.layer(CompressionLayer::new()))
        .merge(health::router())
        .layer(middleware::from_fn(headers::add))
        .with_state(app.clone());
    if app.settings().metrics {
        metrics.layer(router)
    } else {
        router
    }
}

/// Returns `true` if the response to a request is a page, not JSON.
fn is_page(request: &Request) -> bool {
    !request.uri().path().starts_with("/api/")
}

async fn not_found(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
    request: Request,
) -> Response {
    if is_page(&request) {
        pages::not_found(&app, &visit)
    } else {
        api::not_found()
    }
}

/// Reads the body of a request within the limits of size and time.
async fn read_body(
    State(app): State<App>,
    Extension(visit): Extension<Visit>,
    request: Request,
    next: Next,
) -> Response {
    let is_page = is_page(&request);
    match buffer_body(request).await {
        Ok(request) => next.run(request).await,
        Err(error) if is_page => view::error(&app, &visit, &error),
        Err(error) => error.into_problem(),
    }
}

async fn buffer_body(request: Request) -> Result<Request, AppError> {
    if [Method::GET, Method::HEAD].contains(request.method()) {
        return Ok(request);
    }
    if has_too_long_body(&request) {
        return Err(body_too_long());
    }
    let (head, body) = request.into_parts();
    let timed_out = || {
        let detail = "The body of the request did not arrive in time.";
        AppError::new(StatusCode::REQUEST_TIMEOUT, "Timed out", detail)
    };
    let body = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY))
        .await
        .map_err(|_| timed_out())?;
    let body = body.map_err(|error| {
        match std::error::Error::source(&error) {
            Some(source) if source.is::<LengthLimitError>() => body_too_long(),
            // The client closed the connection, or paused for too long.
            _ => timed_out(),
        }
    })?;
    Ok(Request::from_parts(head, Body::from(body)))
}

fn body_too_long() -> AppError {
    let detail = format!("The body of a request can have {MAX_BODY} bytes.");
    AppError::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large", detail)
}

fn has_too_long_body(request: &Request) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > MAX_BODY as u64)
}
