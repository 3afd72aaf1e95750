//! The entrypoint with PostgreSQL's programs: the official image's contract, and faults during the initialization.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod container;
mod contract;
mod interrupted;
mod scripts;
mod users;
