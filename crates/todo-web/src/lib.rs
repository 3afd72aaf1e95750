//! The chapter's to-do list, which protects itself: it starts without its database, says so, and comes back with it.
//!
//! [`settings`] says what is asked for, [`store`] keeps the items, [`database`] watches over the store and knows whether
//! it can be used, [`web`] is what people and programs see.

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
use store::Store;

/// The router bounds bodies itself, to refuse them in the words of a page or a problem.
const LIMITS: Limits = Limits {
    body_bytes: usize::MAX,
    ..Limits::DEFAULT
};

/// Serves until told to stop.
///
/// # Errors
/// When it cannot listen, or the store cannot even be set up.
pub async fn run(
    args: &Args,
    settings: Settings,
    stop: &Shutdown,
) -> anyhow::Result<ShutdownOutcome> {
    let server = Server::bind(args.service.listen, LIMITS).await?;
    tracing::info!(address = %server.local_addr()?, provider = settings.provider.name(), "listening");
    let metrics = Metrics::default();
    let store = open(&settings, args)?;
    let database = Arc::new(Database::new(store, &metrics, settings.read_only));
    let ready = Readiness::default();
    let ended = CancellationToken::new();
    let watch = tokio::spawn(database.clone().watch(ended.clone()));
    let app = web::App::new(database, settings, args, ready.clone());
    let result = server
        .serve(web::router(&app, &metrics), &ready, stop)
        .await;
    ended.cancel();
    watch.await.context("the watch over the database")?;
    Ok(result)
}

fn open(settings: &Settings, args: &Args) -> anyhow::Result<Arc<dyn Store>> {
    Ok(match &settings.provider {
        Provider::Postgres(postgres) => Arc::new(
            store::postgres::Postgres::new(postgres, args.pool, args.query_timeout)
                .context("the database's settings cannot be used")?,
        ),
        Provider::Sqlite(path) => Arc::new(store::sqlite::Sqlite::new(path)),
    })
}
