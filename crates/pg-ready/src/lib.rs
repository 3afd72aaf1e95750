//! Readiness checks for PostgreSQL.
//!
//! There are two paths by design:
//!
//! - [`pg_isready()`] is compatible with PostgreSQL's `pg_isready`. It uses blocking sockets and neither an async
//!   runtime nor threads, so that a program that runs it as an exec probe every few seconds starts fast.
//! - [`check()`] is the extended check: async, cancellable, with one deadline, TLS, logins and the checks of
//!   [`check::Check`]. [`wait::wait_until_ready()`] retries it.
//!
//! Both take a [`Request`], which is parsed from a libpq connection string. [`Report`] is the result of [`check()`],
//! [`PingStatus`] the result that both have in common. [`conninfo`], [`password`] and [`tls`] implement libpq's
//! settings and can be used without a check.

mod attempt;
pub mod check;
mod cli;
pub mod conninfo;
mod message_limits;
pub mod password;
mod pg_isready;
mod ping_status;
#[doc(hidden)]
pub mod program;
mod protocol;
pub mod report;
pub mod request;
mod require_auth;
mod require_peer;
mod service_file;
mod state;
mod target;
pub mod tls;
pub mod wait;

pub use attempt::check;
pub use pg_isready::pg_isready;
pub use ping_status::PingStatus;
pub use report::Report;
pub use request::Request;
pub use state::State;

/// Compiles the example of README.md as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
