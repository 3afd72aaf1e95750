//! Predictions from a manifest: when the probes of a container run, and how long they take to detect a fault, to restart the
//! container and to make it ready again. Pure arithmetic.
//!
//! A prediction is a range that holds for every phase of the workers' tickers. It assumes:
//!
//! - A healthy container responds immediately, and an attempt that starts during a fault fails, see [`FaultMode`].
//! - Creating a container and publishing a status take no time. A kubelet notices a started or terminated container by polling
//!   the container runtime, which adds up to about one second.
//! - The kubelet syncs the pod for other reasons, such as other containers, only before the first attempt. Each sync triggers a
//!   readiness attempt if the container is not ready. Later syncs make readiness earlier, never later.
//!
//! A published start time has whole seconds, so that an initial delay ends up to one second early.
//!
//! ```
//! use std::time::Duration;
//!
//! use k8s_openapi::api::core::v1::PodSpec;
//! use selfheal_probe::prediction::{ContainerProbes, FaultMode};
//!
//! let pod: PodSpec = serde_json::from_value(serde_json::json!({"containers": [{
//!     "name": "api",
//!     "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 10, "failureThreshold": 2},
//! }]}))?;
//! let probes = ContainerProbes::new(&pod, &pod.containers[0]);
//! let restart = probes.fault_to_restart(FaultMode::Immediate).expect("it has a liveness probe");
//! assert_eq!(restart.earliest, Duration::from_secs(10));
//! assert_eq!(restart.latest, Duration::from_secs(20));
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::ops::Add;
use std::time::Duration;

mod container;
mod ready;
mod restarts;
mod schedule;
mod start;
mod success;

pub use container::ContainerProbes;
pub use restarts::{PredictedRestart, RestartCause, predict_restarts};
pub use schedule::{AttemptSchedule, Overrun};
pub use start::{AttemptReference, FirstAttempt, SurvivedStart};

/// Precision of a published start time.
const START_TIME_PRECISION: Duration = Duration::from_secs(1);

/// Result of an attempt that starts during a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultMode {
    /// Fails immediately: the connection is refused, or the response has an error status.
    Immediate,
    /// Fails at its timeout: the container does not respond.
    Hanging,
}

impl FaultMode {
    /// Both modes.
    pub const ALL: [Self; 2] = [Self::Immediate, Self::Hanging];
}

/// Earliest and latest time of an event, after an event that the prediction names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// Lower bound.
    pub earliest: Duration,
    /// Upper bound.
    pub latest: Duration,
}

impl TimeRange {
    /// Creates a range.
    #[must_use]
    pub fn new(earliest: Duration, latest: Duration) -> Self {
        Self { earliest, latest }
    }

    /// Returns `true` if `time` is within the range, bounds included.
    #[must_use]
    pub fn contains(&self, time: Duration) -> bool {
        (self.earliest..=self.latest).contains(&time)
    }

    /// Returns the range of the earlier of two independent events.
    fn first(self, other: Self) -> Self {
        Self {
            earliest: self.earliest.min(other.earliest),
            latest: self.latest.min(other.latest),
        }
    }
}

impl Add for TimeRange {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            earliest: self.earliest.saturating_add(other.earliest),
            latest: self.latest.saturating_add(other.latest),
        }
    }
}

#[cfg(test)]
mod tests;
