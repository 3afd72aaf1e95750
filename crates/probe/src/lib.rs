//! The kubelet's probing as a library: HTTP, TCP, gRPC and exec probes with the kubelet's defaults, thresholds, results
//! and event texts.
//!
//! A [`Manager`] runs one worker for each probe of each container. A worker resolves the probe to a
//! [`ResolvedHandler`], has a [`Prober`] make one attempt per period, and counts the outcomes with a
//! [`Tracker`](tracker::Tracker). The host receives an [`Update`] for each changed result and acts on it: the crate itself
//! neither restarts containers nor writes a pod's status. [`prediction`] computes from a manifest when all this happens.
//!
//! `examples/probe_container.rs` probes a container and prints what a host receives.

mod attempt;
pub mod backoff;
pub mod clock;
mod dial;
mod event;
#[cfg(unix)]
pub mod exec;
pub mod expand;
mod go_format;
mod go_url;
pub mod grpc;
pub mod handler;
pub mod http;
#[cfg(test)]
mod kubelet_conformance;
#[cfg(unix)]
mod local;
mod manager;
pub mod outcome;
pub mod prediction;
pub mod prober;
pub mod restart;
mod results;
pub mod spec;
pub mod tcp;
pub mod tls;
pub mod tracker;
#[cfg(unix)]
pub mod unix;
mod worker;

pub use clock::Clock;
pub use event::EventSink;
#[cfg(unix)]
pub use local::{LocalProber, USER_AGENT};
pub use manager::{Manager, ManagerOptions, StartDelay};
pub use outcome::{MAX_OUTPUT, Outcome, ProbeError, Reason, Verdict};
pub use prober::{HttpGet, ProbeTarget, Prober, ResolvedHandler};
pub use results::{ProbeKind, ProbeResult, Update};
