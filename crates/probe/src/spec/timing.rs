//! Numeric fields of a probe.

use std::time::Duration;

use k8s_openapi::api::core::v1::Probe;

/// Durations and thresholds of a probe, with the API server's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeTiming {
    /// Delay between the container's start and the first attempt; 0 by default.
    pub initial_delay: Duration,
    /// Timeout of one attempt; 1 s by default.
    pub timeout: Duration,
    /// Interval of the attempts; 10 s by default.
    pub period: Duration,
    /// Consecutive successes that make a failed probe succeed; 1 by default.
    pub success_threshold: u32,
    /// Consecutive failures that make a probe fail; 3 by default.
    pub failure_threshold: u32,
    /// Grace period of containers killed by this probe, if it differs from the pod's.
    pub termination_grace_period: Option<Duration>,
}

impl ProbeTiming {
    /// Reads the fields of a probe. Values that are not positive are treated as absent.
    #[must_use]
    pub fn new(probe: &Probe) -> Self {
        let threshold = |value: Option<i32>, default: u32| positive(value).unwrap_or(default);
        let seconds = |value: Option<i32>, default: u32| {
            Duration::from_secs(threshold(value, default).into())
        };
        let grace_period = probe.termination_grace_period_seconds;
        Self {
            initial_delay: seconds(probe.initial_delay_seconds, 0),
            timeout: seconds(probe.timeout_seconds, 1),
            period: seconds(probe.period_seconds, 10),
            success_threshold: threshold(probe.success_threshold, 1),
            failure_threshold: threshold(probe.failure_threshold, 3),
            termination_grace_period: grace_period
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map(Duration::from_secs),
        }
    }
}

fn positive(value: Option<i32>) -> Option<u32> {
    value
        .and_then(|value| u32::try_from(value).ok())
        .filter(|value| *value > 0)
}
