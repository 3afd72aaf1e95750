//! The service on both stores. Tests of PostgreSQL need its programs.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod api;
mod faults;
mod harness;
mod outage;
mod pages;
mod plans;
mod tmpfs;
