//! The endpoints that probes ask, each of which can be made to fail apart from the others.
//!
//! | endpoint | answers 200 unless |
//! |---|---|
//! | `/healthz`, `/health` | broken, or not started (503) |
//! | `/livez` | broken |
//! | `/readyz` | broken, not started, or ending (503) |
//! | `/startupz` | not started (503) |

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;

use crate::{App, Target, answer::failure, probes};

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/health", get(healthz))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .layer(middleware::from_fn_with_state(app.clone(), probes::record))
        .with_state(app)
}

async fn healthz(State(app): State<Arc<App>>) -> Response {
    match app.fault(Target::Healthz).await {
        Ok(()) if app.is_starting() => unavailable(),
        Ok(()) => unless_broken(&app),
        Err(refused) => refused,
    }
}

async fn livez(State(app): State<Arc<App>>) -> Response {
    match app.fault(Target::Livez).await {
        Ok(()) => unless_broken(&app),
        Err(refused) => refused,
    }
}

async fn readyz(State(app): State<Arc<App>>) -> Response {
    match app.fault(Target::Readyz).await {
        Ok(()) if app.ready.is_open() && !app.is_starting() => unless_broken(&app),
        Ok(()) => unavailable(),
        Err(refused) => refused,
    }
}

async fn startupz(State(app): State<Arc<App>>) -> Response {
    match app.fault(Target::Startupz).await {
        Ok(()) if app.ready.is_open() && !app.is_starting() => "Ok".into_response(),
        Ok(()) => unavailable(),
        Err(refused) => refused,
    }
}

fn unless_broken(app: &App) -> Response {
    if app.breaker.is_broken() {
        failure("Unhealthy")
    } else {
        "Ok".into_response()
    }
}

pub(crate) fn unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "Unavailable").into_response()
}
