//! The random-number API that fails after N calls.

mod args;
mod breaker;
mod chapter;

use std::{num::NonZeroU64, sync::Arc};

use axum::Router;
use service::{Ended, Limits, Metrics, Readiness, Server, Stop};

pub use self::{
    args::Args,
    breaker::{Breaker, Broken},
};

/// What all requests of one instance share.
#[derive(Debug)]
pub struct App {
    breaker: Breaker,
    use_failure_id: bool,
}

impl App {
    /// A fresh instance.
    #[must_use]
    pub fn new(args: &Args) -> Self {
        Self {
            breaker: Breaker::new(NonZeroU64::new(args.fail_after_call_count)),
            use_failure_id: args.use_failure_id,
        }
    }
}

/// Every endpoint of `app`.
pub fn router(app: Arc<App>) -> Router {
    Metrics::default().layer(chapter::router().with_state(app))
}

/// Serves until told to stop.
///
/// # Errors
/// When it cannot listen.
pub async fn run(args: &Args, stop: &Stop) -> anyhow::Result<Ended> {
    let server = Server::bind(args.service.listen, Limits::default()).await?;
    let address = server.local_addr()?;
    let app = Arc::new(App::new(args));
    tracing::info!(%address, "listening");
    Ok(server.serve(router(app), &Readiness::default(), stop).await)
}
