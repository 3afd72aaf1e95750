//! What people and programs see.

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

/// What every handler may need. Clones share it.
#[derive(Clone)]
pub struct App {
    /// What runs.
    pub engine: Engine,
    /// Whether the sidecar serves, and has not been told to end.
    pub ready: Readiness,
}

/// Every path of the service.
pub fn router(app: &App, metrics: &Metrics) -> Router {
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
