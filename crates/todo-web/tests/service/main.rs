//! The service on both stores. Tests of PostgreSQL need its programs.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod api;
mod faults;
mod harness;
mod network;
mod outage;
mod pages;
mod pgbouncer;
mod plans;
mod protocol;
mod proxy;
mod sqlite;
mod tmpfs;
