//! Start times of consecutive attempts.

use std::time::Duration;

use super::{FaultMode, TimeRange};
use crate::spec::ProbeTiming;

/// Start of the next attempt after one that lasted longer than the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overrun {
    /// Immediately: the worker keeps one missed tick, as the kubelet does.
    Immediate,
    /// At the next multiple of the period: missed ticks are skipped.
    NextTick,
}

/// Schedule of a probe's attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptSchedule {
    /// Interval of the attempts.
    pub period: Duration,
    /// Maximum duration of an attempt.
    pub timeout: Duration,
    /// Behaviour if an attempt lasts longer than the period.
    pub overrun: Overrun,
}

impl AttemptSchedule {
    /// Creates the schedule of a kubelet's worker.
    #[must_use]
    pub fn kubelet(timing: &ProbeTiming) -> Self {
        Self {
            period: timing.period,
            timeout: timing.timeout,
            overrun: Overrun::Immediate,
        }
    }

    /// Returns the duration of an attempt that fails.
    #[must_use]
    pub fn failed_attempt(&self, mode: FaultMode) -> Duration {
        match mode {
            FaultMode::Immediate => Duration::ZERO,
            FaultMode::Hanging => self.timeout,
        }
    }

    /// Returns the time between the starts of attempts that each last `attempt`.
    #[must_use]
    pub fn spacing(&self, attempt: Duration) -> Duration {
        match self.overrun {
            Overrun::Immediate => self.period.max(attempt),
            Overrun::NextTick => {
                let ticks = attempt.as_nanos().div_ceil(self.period.as_nanos().max(1));
                times(self.period, u32::try_from(ticks.max(1)).unwrap_or(u32::MAX))
            }
        }
    }

    /// Returns the time from the start of the first of `threshold` attempts to the end of the last, if each lasts `attempt`.
    #[must_use]
    pub fn time_to_threshold(&self, threshold: u32, attempt: Duration) -> Duration {
        times(self.spacing(attempt), threshold.saturating_sub(1)).saturating_add(attempt)
    }

    /// Returns the time from a fault to the failure of the probe. At best the first attempt starts with the fault, at worst one
    /// period after it.
    #[must_use]
    pub fn detection(&self, failure_threshold: u32, mode: FaultMode) -> TimeRange {
        let failures = self.time_to_threshold(failure_threshold, self.failed_attempt(mode));
        TimeRange::new(failures, self.period.saturating_add(failures))
    }
}

pub(super) fn times(duration: Duration, factor: u32) -> Duration {
    duration.saturating_mul(factor)
}
