//! The chapter's endpoints `/rng` and `/reset`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use rand::RngExt;
use uuid::Uuid;

use crate::{
    App, Call, Target,
    failure::{failure, unavailable},
};

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/rng", get(rng))
        .route("/reset", get(reset))
        .with_state(app)
}

async fn rng(State(app): State<Arc<App>>) -> Response {
    if let Err(response) = app.apply_fault(Target::Rng).await {
        return response;
    }
    if app.is_starting() {
        return unavailable();
    }
    if let Ok(call) = app.fail_after.call() {
        if call == Call::Last {
            let calls = app.fail_after.calls();
            tracing::warn!(
                calls,
                "broken: /rng and the health endpoints fail until a restart or /reset"
            );
        }
        return Json(rand::rng().random_range(0..100)).into_response();
    }
    if app.use_failure_id {
        let id = Uuid::new_v4();
        tracing::warn!(%id, "/rng failed: broken");
        return failure(&format!("Unhealthy! Failure ID: {id}"));
    }
    tracing::warn!("/rng failed: broken");
    failure("Unhealthy!")
}

async fn reset(State(app): State<Arc<App>>) -> &'static str {
    app.fail_after.reset();
    tracing::info!("repaired by /reset");
    "Ok"
}
