//! The program: settings, signals, reloads, actions and exit codes.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod actions;
mod harness;

mod lifecycle;
mod orphans;
mod reaper;
