//! Is it alive, ready, started?

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
        // Asks nobody: a database that is away is no reason to be restarted.
        .route("/livez", get(|| async { "Ok" }))
        .route("/readyz", get(ready))
        .route("/startupz", get(started))
}

async fn ready(State(app): State<App>) -> impl IntoResponse {
    if !app.0.ready.is_open() {
        return answer(false, "it is starting or ending");
    }
    match (app.0.policy, app.database().state()) {
        (_, database::State::Up(_)) => answer(true, ""),
        (Policy::Degraded, _) if app.database().has_answered() => answer(true, ""),
        _ => answer(false, "the database does not answer"),
    }
}

async fn started(State(app): State<App>) -> impl IntoResponse {
    if app.0.ready.is_open() {
        answer(true, "")
    } else {
        answer(false, "it is starting or ending")
    }
}

fn answer(healthy: bool, why: &str) -> (StatusCode, String) {
    if healthy {
        (StatusCode::OK, "Ok".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}"))
    }
}
