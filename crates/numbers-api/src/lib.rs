//! The random-number API that fails after N calls.
//!
//! | endpoint | answer |
//! |---|---|
//! | `GET /` | a page with the state, the faults in force and the latest probes |
//! | `GET /rng` | `200` and a JSON integer from 0 to 99; broken: `500 {"message":"Unhealthy!"}` |
//! | `GET /healthz`, `/health` | `200 Ok`; broken: `500 {"message":"Unhealthy"}` |
//! | `GET /livez`, `/readyz`, `/startupz` | as `/healthz`, each with faults of its own; 503 from `/readyz` while ending |
//! | `GET /reset` | heals, and counts calls from zero again |
//! | `GET /probes` | the latest probes as JSON, newest first |
//! | `GET /metrics` | OpenMetrics text |
//! | `GET /faults`, `PUT`, `DELETE /faults/{target}` | faults at run time; only with `--enable-fault-api` |
//!
//! During `--startup-delay`, `/rng` and every health endpoint but `/livez` answer 503.
//!
//! Every fault is off unless a setting asks for it.

mod answer;
mod app;
mod args;
mod breaker;
mod chapter;
mod fault;
mod fault_api;
mod health;
mod page;
mod probes;
pub mod program;
mod starts;

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use service::{Ended, Limits, Metrics, Server, Stop};

pub use self::{
    app::App,
    args::Args,
    breaker::{Breaker, Broken, Call},
    fault::{Effect, Faults, ParseRuleError, Rule, Target, Trigger},
};

/// Every endpoint of `app`.
pub fn router(app: &Arc<App>) -> Router {
    let mut router = chapter::router(app.clone())
        .merge(health::router(app.clone()))
        .merge(page::router(app.clone()))
        .route("/probes", get(probes::list).with_state(app.clone()));
    if app.fault_api {
        router = router.merge(fault_api::router(app.clone()));
    }
    Metrics::default().layer(router)
}

/// Ends the start after `delay`.
async fn start(app: &App, delay: Duration) -> Infallible {
    if !delay.is_zero() {
        tracing::info!(?delay, "starting");
        tokio::time::sleep(delay).await;
        app.end_start();
        tracing::info!("start is over");
    }
    pending().await
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was told to stop.
    Ended(Ended),
    /// A fault crashed it with this exit code.
    Crashed(u8),
}

/// Serves until told to stop, or until a fault crashes it.
///
/// # Errors
/// When it cannot listen, or cannot count its starts where it is told to.
pub async fn run(args: &Args, stop: &Stop) -> anyhow::Result<Outcome> {
    if let Some(file) = &args.starts_file {
        let starts = starts::count(file)?;
        tracing::info!(starts, "started");
    }
    let server = Server::bind(args.service.listen, Limits::default()).await?;
    let address = server.local_addr()?;
    let app = Arc::new(App::new(args));
    tracing::info!(%address, "listening");
    Ok(tokio::select! {
        ended = server.serve(router(&app), &app.ready, stop) => Outcome::Ended(ended),
        code = app.crashed() => Outcome::Crashed(code),
        never = start(&app, args.startup_delay()) => match never {},
    })
}
