//! Health endpoints. Each has faults of its own.
//!
//! | endpoint | status other than 200 |
//! |---|---|
//! | `/healthz`, `/health` | 500 if broken, 503 while starting |
//! | `/livez` | 500 if broken |
//! | `/readyz` | 500 if broken, 503 while starting and during the shutdown |
//! | `/startupz` | 503 while starting |

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use http::StatusCode;

use crate::{
    App, Target,
    failure::{failure, unavailable},
    probes,
};

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", endpoint(Target::Healthz))
        .route("/health", endpoint(Target::Healthz))
        .route("/livez", endpoint(Target::Livez))
        .route("/readyz", endpoint(Target::Readyz))
        .route("/startupz", endpoint(Target::Startupz))
        .layer(middleware::from_fn_with_state(app.clone(), probes::record))
        .with_state(app)
}

fn endpoint(target: Target) -> MethodRouter<Arc<App>> {
    get(async move |State(app): State<Arc<App>>| respond(&app, target).await)
}

async fn respond(app: &App, target: Target) -> Response {
    if let Err(response) = app.apply_fault(target).await {
        return response;
    }
    match app.status(target) {
        StatusCode::OK => "Ok".into_response(),
        StatusCode::SERVICE_UNAVAILABLE => unavailable(),
        _ => failure("Unhealthy"),
    }
}
