//! The chapter's endpoints: `/rng`, `/healthz`, `/health`, `/reset`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use rand::RngExt;
use serde_json::json;
use uuid::Uuid;

use crate::App;

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/rng", get(rng))
        .route("/healthz", get(health))
        .route("/health", get(health))
        .route("/reset", get(reset))
}

/// An error as the chapter's API words it.
pub(crate) fn failure(message: &str) -> Response {
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        Json(json!({ "message": message })),
    )
        .into_response()
}

async fn rng(State(app): State<Arc<App>>) -> Response {
    if app.breaker.call().is_ok() {
        return Json(rand::rng().random_range(0..100)).into_response();
    }
    if app.use_failure_id {
        let id = Uuid::new_v4();
        tracing::warn!(%id, "refused a call: broken");
        return failure(&format!("Unhealthy! Failure ID: {id}"));
    }
    failure("Unhealthy!")
}

async fn health(State(app): State<Arc<App>>) -> Response {
    if app.breaker.is_broken() {
        failure("Unhealthy")
    } else {
        "Ok".into_response()
    }
}

async fn reset(State(app): State<Arc<App>>) -> &'static str {
    app.breaker.reset();
    tracing::info!("healed by /reset");
    "Ok"
}
