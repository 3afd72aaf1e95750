//! What every HTTP service here shares: arguments, logs, metrics, readiness, a page's files and an orderly end.
//!
//! A service is a [`Router`](axum::Router) and a `main` of a few lines: [`args::parse`], [`log::init`],
//! [`signal::listen`] and [`Server::serve`]. Only `main` may call [`signal::listen`]; everything else here
//! is told when to end by the tokens in [`Stop`].

pub mod args;
pub mod assets;
#[cfg(any(test, feature = "test-util"))]
pub mod exposition;
mod limits;
pub mod log;
mod metrics;
mod readiness;
mod server;
pub mod signal;
mod stop;

pub use self::{
    args::Args,
    limits::Limits,
    metrics::Metrics,
    readiness::Readiness,
    server::{Peer, ServeError, Server},
    stop::{Ended, Stop},
};
