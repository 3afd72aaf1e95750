//! The kubelet's probing as a library.
//!
//! `spec` (defaults and limits as the API server's) → a [`Prober`] makes one attempt → [`Outcome`] or [`ProbeError`]
//! → the tracker observes it → perhaps a transition → whoever hosts the engine acts on it.

pub mod clock;
pub mod outcome;
pub mod prober;

pub use clock::Clock;
pub use outcome::{MAX_OUTPUT, Outcome, ProbeError, Reason, Verdict};
pub use prober::{Action, HttpGet, Prober, Target};
