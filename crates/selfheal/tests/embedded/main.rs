//! The program with real pods: its output, and the processes and files after its exit. Needs namespaces.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

mod attach;
mod conflicts;
mod containers;
mod exercises;
mod harness;
mod interrupt;
mod kiamol_compat;
mod port_forward;
mod script;
mod services;
mod shutdown;
mod volumes;
