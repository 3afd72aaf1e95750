//! The program with real pods: what it prints, and what is left of it. Needs namespaces.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

mod attach;
mod conflicts;
mod containers;
mod end;
mod exercises;
mod forward;
mod interrupt;
mod original;
mod rig;
mod script;
mod services;
mod volumes;
