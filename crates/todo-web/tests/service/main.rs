//! The service over its router and over real sockets, on both stores. PostgreSQL's cases need its programs.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

mod api;
mod faults;
mod outage;
mod pages;
mod plans;
mod rig;
mod tmpfs;
