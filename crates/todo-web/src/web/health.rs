//! Health endpoints.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::StatusCode;

use super::App;
use crate::args::Policy;
use crate::database;

pub(super) fn router() -> Router<App> {
    Router::new()
        // Independent of the database: a restart would not repair it.
        .route("/livez", get(async || "Ok"))
        .route("/readyz", get(ready))
        .route("/startupz", get(started))
}

async fn ready(State(app): State<App>) -> impl IntoResponse {
    if !app.0.ready.is_open() {
        return Err(not_ready("starting or shutting down"));
    }
    match (app.0.policy, app.database().state()) {
        (_, database::State::Up(_)) => Ok("Ok"),
        (Policy::Degraded, _) if app.database().has_answered() => Ok("Ok"),
        _ => Err(not_ready("the database is unavailable")),
    }
}

async fn started(State(app): State<App>) -> impl IntoResponse {
    if app.0.ready.is_open() {
        Ok("Ok")
    } else {
        Err(not_ready("starting or shutting down"))
    }
}

fn not_ready(reason: &str) -> (StatusCode, String) {
    let text = format!("not ready: {reason}");
    (StatusCode::SERVICE_UNAVAILABLE, text)
}
