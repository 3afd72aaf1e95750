//! Random-number API that fails after N calls.
//!
//! | endpoint | response |
//! |---|---|
//! | `GET /` | live page with the state, the faults and the latest probes |
//! | `GET /events` | the page's updates as server-sent events |
//! | `GET /rng` | `200` and a JSON integer from 0 to 99; broken: `500 {"message":"Unhealthy!"}` |
//! | `GET /healthz`, `/health` | `200 Ok`; broken: `500 {"message":"Unhealthy"}` |
//! | `GET /livez`, `/readyz`, `/startupz` | as `/healthz`, each with faults of its own; 503 from `/readyz` during the shutdown |
//! | `GET /reset` | repairs the instance and resets the counter |
//! | `GET /probes` | the latest probes as JSON, newest first |
//! | `GET /metrics` | OpenMetrics text |
//! | `GET /faults`, `PUT`, `DELETE /faults/{target}` | faults at run time; only with `--enable-fault-api` |
//!
//! During `--startup-delay`, `/rng` and every health endpoint but `/livez` respond with 503.
//!
//! No fault is active unless a setting defines it.

mod app;
mod args;
mod fail_after;
mod failure;
mod fault;
mod fault_api;
mod health;
mod page;
mod probes;
pub mod program;
mod rng;
mod starts;

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use axum::{Router, middleware::map_response, response::Response, routing::get};
use http::{HeaderValue, header::X_CONTENT_TYPE_OPTIONS};
use http_service::{Limits, Metrics, Server, Shutdown, ShutdownOutcome};

pub use self::{
    app::App,
    args::Args,
    fail_after::{Call, FailAfter, LimitReached},
    fault::{Effect, Faults, ParseRuleError, Rule, Target, Trigger},
};

/// Returns the router with every endpoint of `app`.
pub fn router(app: &Arc<App>) -> Router {
    let mut router = rng::router(app.clone())
        .merge(health::router(app.clone()))
        .merge(page::router(app.clone()))
        .route("/probes", get(probes::list).with_state(app.clone()));
    if app.fault_api {
        router = router.merge(fault_api::router(app.clone()));
    }
    Metrics::default()
        .layer(router)
        .layer(map_response(forbid_sniffing))
}

/// Keeps browsers from guessing another media type.
async fn forbid_sniffing(mut response: Response) -> Response {
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// Ends the startup delay after `delay`, and never returns.
async fn delay_start(app: &App, delay: Duration) -> Infallible {
    if !delay.is_zero() {
        tracing::info!(?delay, "starting");
        tokio::time::sleep(delay).await;
        app.finish_start();
        tracing::info!("startup delay expired");
    }
    pending().await
}

/// Result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A shutdown was requested.
    Stopped(ShutdownOutcome),
    /// A fault crashed the instance with this exit code.
    Crashed(u8),
}

/// Serves until the shutdown, or until a fault crashes the instance.
///
/// # Errors
/// The address cannot be bound, or the file of starts cannot be written.
pub async fn run(args: &Args, shutdown: &Shutdown) -> anyhow::Result<Outcome> {
    if let Some(file) = &args.starts_file {
        let starts = starts::count(file)?;
        tracing::info!(starts, "started");
    }
    let server = Server::bind(args.service.listen, Limits::default()).await?;
    let address = server.local_addr()?;
    let app = Arc::new(App::new(args));
    tracing::info!(%address, "listening");
    Ok(tokio::select! {
        outcome = server.serve(router(&app), &app.ready, shutdown) => Outcome::Stopped(outcome),
        code = app.crashed() => Outcome::Crashed(code),
        never = delay_start(&app, args.startup_delay()) => match never {},
    })
}
