//! The service over its router and over real sockets, on both stores; PostgreSQL's cases need its programs and are
//! skipped with a word where they are missing.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

mod api;
mod outage;
mod pages;
mod rig;
