//! The chapter's to-do list. It starts without its database, reports that, and recovers with it.
//!
//! [`settings`] reads configuration, [`store`] stores the items, [`database`] checks the store periodically, [`web`] serves
//! pages and the API.

pub mod args;
pub mod database;
pub mod item;
pub mod program;
pub mod settings;
pub mod store;
pub mod web;

use std::sync::Arc;

use anyhow::Context as _;
use http_service::{Limits, Metrics, Readiness, Server, Shutdown, ShutdownOutcome};
use tokio_util::sync::CancellationToken;

pub use args::Args;

use database::Database;
use settings::{Provider, Settings};
use store::{Access, Store};

/// The router limits bodies itself, to respond with a page or problem details.
const LIMITS: Limits = Limits {
    body_bytes: usize::MAX,
    ..Limits::DEFAULT
};

/// Serves until the shutdown.
///
/// # Errors
/// The address cannot be bound, or the settings of the store are invalid.
pub async fn run(
    args: &Args,
    settings: Settings,
    shutdown: &Shutdown,
) -> anyhow::Result<ShutdownOutcome> {
    let server = Server::bind(args.service.listen, LIMITS).await?;
    tracing::info!(address = %server.local_addr()?, provider = settings.provider.name(), "listening");
    let metrics = Metrics::default();
    let store = open(&settings, args)?;
    let access = match settings.read_only {
        true => Access::ReadOnly,
        false => Access::ReadWrite,
    };
    let database = Arc::new(Database::new(store, &metrics, access, args.request_timeout));
    let ready = Readiness::default();
    let stop = CancellationToken::new();
    let health_check = tokio::spawn(database.clone().run_health_check(stop.clone()));
    let app = web::App::new(database, settings, args, ready.clone());
    let result = server
        .serve(web::router(&app, &metrics), &ready, shutdown)
        .await;
    stop.cancel();
    health_check
        .await
        .context("the health check of the database failed")?;
    Ok(result)
}

fn open(settings: &Settings, args: &Args) -> anyhow::Result<Arc<dyn Store>> {
    Ok(match &settings.provider {
        Provider::Postgres(postgres) => {
            let store = store::postgres::Postgres::with_reload(
                postgres,
                Some(reload(args.clone())),
                args.pool,
                args.query_timeout,
            );
            Arc::new(store.context("invalid settings of the database")?)
        }
        Provider::Sqlite(path) => Arc::new(store::sqlite::Sqlite::new(path, args.query_timeout)),
    })
}

/// Reads the settings again for each connection: a Secret that is mounted as a file can change.
fn reload(args: Args) -> store::postgres::Reload {
    Box::new(move || match Settings::load(&args, std::env::vars()) {
        Ok(settings) => match settings.provider {
            Provider::Postgres(postgres) => Some(*postgres),
            Provider::Sqlite(_) => None,
        },
        Err(error) => {
            tracing::warn!(%error, "settings cannot be read again");
            None
        }
    })
}
