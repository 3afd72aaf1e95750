//! The real program: settings, signals, reloads, actions and exit codes.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed helper is a failed test, and a skipped test says so"
)]

mod actions;
mod life;
mod orphans;
mod rig;
