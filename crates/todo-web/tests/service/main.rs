//! The service over its router and over real sockets, on both stores; PostgreSQL's cases need its programs and are
//! skipped with a word where they are missing.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers panic as tests do, and a skipped test says so"
)]

mod api;
mod faults;
mod outage;
mod pages;
mod plans;
mod rig;
mod tmpfs;
