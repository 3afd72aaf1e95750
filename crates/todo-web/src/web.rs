//! What people and programs see.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use http::{StatusCode, header};
use http_service::{Metrics, Readiness};
use jiff::Timestamp;

use self::fault::Fault;
use crate::args::{Args, Policy};
use crate::database::Database;
use crate::settings::Settings;

mod api;
mod csrf;
mod fault;
mod headers;
mod health;
mod pages;
#[cfg(test)]
mod tests;
mod view;

/// The largest body in bytes: a text of the longest characters, escaped in the longest way, and the rest of a form.
const LONGEST_BODY: usize = 64 * 1024;

/// What every handler may need. Clones are cheap and share it.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    database: Arc<Database>,
    settings: Settings,
    ready: Readiness,
    policy: Policy,
    request_timeout: Duration,
    started: Timestamp,
}

impl App {
    /// The application over a database that is being watched.
    #[must_use]
    pub fn new(database: Arc<Database>, settings: Settings, args: &Args, ready: Readiness) -> Self {
        Self(Arc::new(Inner {
            database,
            settings,
            ready,
            policy: args.ready,
            request_timeout: args.request_timeout,
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

/// Every path of the service.
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
        .method_not_allowed_fallback(pages::method_not_allowed)
        .layer(middleware::from_fn(csrf::protect));
    let api = Router::new()
        .route("/api/todos", get(api::list).post(api::create))
        .route(
            "/api/todos/{id}",
            get(api::get).patch(api::change).delete(api::delete),
        )
        .route("/api/openapi.json", get(api::description))
        .method_not_allowed_fallback(api::method_not_allowed);
    let timed = pages
        .merge(api)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(app.clone(), within_limits));
    let router = timed
        .merge(http_service::assets::router(
            include_str!("../assets/style.css"),
            include_str!("../assets/app.js"),
            include_str!("../assets/icon.svg"),
        ))
        .merge(health::router())
        .layer(middleware::from_fn(headers::add))
        .with_state(app.clone());
    if app.settings().metrics {
        metrics.layer(router)
    } else {
        router
    }
}

fn is_for_people(request: &Request) -> bool {
    !request.uri().path().starts_with("/api/")
}

async fn not_found(State(app): State<App>, request: Request) -> Response {
    if is_for_people(&request) {
        pages::not_found(State(app)).await
    } else {
        api::not_found()
    }
}

fn is_announced_too_long(request: &Request) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > LONGEST_BODY as u64)
}

/// Refuses a body that is announced as too long without waiting for it, and answers within the deadline, whatever a
/// handler waits for. What it had begun is one statement, which the database makes or does not make.
async fn within_limits(State(app): State<App>, request: Request, next: Next) -> Response {
    let for_people = is_for_people(&request);
    let answer = if is_announced_too_long(&request) {
        let detail = format!("A request may have {LONGEST_BODY} bytes.");
        Err(Fault::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Too large",
            detail,
        ))
    } else {
        tokio::time::timeout(app.0.request_timeout, next.run(request))
            .await
            .map_err(|_| Fault::unavailable("it took too long to answer"))
    };
    match answer {
        Ok(response) => response,
        Err(fault) if for_people => view::fault(&app, &fault),
        Err(fault) => fault.into_problem(),
    }
}
