//! HTTP endpoints and the page.

use axum::{Router, middleware};
use http_service::{Metrics, Readiness};

use crate::engine::Engine;

mod accept;
mod headers;
pub(crate) mod health;
mod page;
mod probes;
mod report;
mod stream;
mod view;

/// State of all handlers. Clones share it.
#[derive(Clone)]
pub struct AppState {
    /// Engine that runs the probes.
    pub engine: Engine,
    /// Open while the sidecar serves; closed by a shutdown.
    pub ready: Readiness,
}

/// Creates the router of all paths.
pub fn router(app: &AppState, metrics: &Metrics) -> Router {
    let router = health::router()
        .merge(stream::router())
        .merge(probes::router())
        .merge(page::router())
        .with_state(app.clone());
    metrics
        .layer(router)
        .layer(middleware::from_fn(headers::add))
}

#[cfg(test)]
mod tests;
