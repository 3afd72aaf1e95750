//! What people and programs see.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use service::{Metrics, Readiness};

use crate::args::{Args, Policy};
use crate::database::Database;
use crate::settings::Settings;

mod api;
mod assets;
mod csrf;
mod fault;
mod headers;
mod health;
mod pages;
mod view;

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
        .fallback(pages::not_found)
        .layer(middleware::from_fn(csrf::protect));
    let api = Router::new()
        .route("/api/todos", get(api::list).post(api::create))
        .route(
            "/api/todos/{id}",
            get(api::get).patch(api::change).delete(api::delete),
        )
        .method_not_allowed_fallback(api::method_not_allowed);
    let timed = pages
        .merge(api)
        .layer(middleware::from_fn_with_state(app.clone(), in_time));
    let router = timed
        .merge(assets::router())
        .merge(health::router())
        .layer(middleware::from_fn(headers::add))
        .with_state(app.clone());
    if app.settings().metrics {
        metrics.layer(router)
    } else {
        router
    }
}

/// Answers within the deadline, whatever a handler waits for. What it had begun is one statement, which the database
/// makes or does not make.
async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let for_people = !request.uri().path().starts_with("/api/");
    match tokio::time::timeout(app.0.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let fault = fault::Fault::unavailable("it took too long to answer");
            if for_people {
                view::fault(&app, &fault)
            } else {
                fault.into_problem()
            }
        }
    }
}
