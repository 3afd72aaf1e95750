//! The kubelet's probing as a library.
//!
//! A [`Manager`] keeps one worker for each probe of each container. A worker resolves the probe to an [`Action`], has a
//! [`Prober`] make an attempt, and lets its [`tracker`] decide what the answers come to; whoever hosts the engine acts
//! on the changes it is told of.

pub mod action;
mod attempt;
pub mod backoff;
pub mod clock;
mod dial;
mod event;
#[cfg(unix)]
pub mod exec;
pub mod expand;
pub mod grpc;
pub mod http;
#[cfg(test)]
mod kubelet_cases;
#[cfg(unix)]
mod local;
mod manager;
pub mod outcome;
pub mod prober;
pub mod restart;
mod results;
pub mod spec;
pub mod tcp;
mod text;
pub mod tls;
pub mod tracker;
#[cfg(unix)]
pub mod unix;
mod worker;

pub use clock::Clock;
pub use event::EventSink;
#[cfg(unix)]
pub use local::{LocalProber, USER_AGENT};
pub use manager::{Manager, Options};
pub use outcome::{MAX_OUTPUT, Outcome, ProbeError, Reason, Verdict};
pub use prober::{Action, HttpGet, Prober, Target};
pub use results::{ProbeKind, ProbeResult, Update};
