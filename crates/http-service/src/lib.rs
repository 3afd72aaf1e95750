//! The parts that every HTTP service of the workspace shares: arguments, logs, metrics, readiness, static files and graceful
//! shutdown.
//!
//! A service is a [`Router`](axum::Router) and a `main` of a few lines: [`args::parse`], [`log::init`],
//! [`signal::listen`] and [`Server::serve`]. Only `main` may call [`signal::listen`]; everything else shuts down when the
//! tokens of [`Shutdown`] are cancelled.

pub mod args;
pub mod assets;
#[cfg(any(test, feature = "test-util"))]
pub mod exposition;
mod limits;
pub mod log;
mod metrics;
mod readiness;
mod server;
mod shutdown;
pub mod signal;
pub mod sync;

pub use self::{
    args::Args,
    limits::Limits,
    metrics::Metrics,
    readiness::Readiness,
    server::{Peer, ServeError, Server, accept},
    shutdown::{Shutdown, ShutdownOutcome},
};
