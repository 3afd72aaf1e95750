//! Successes of a readiness probe, from the first to the success threshold.

use std::time::Duration;

use super::schedule::times;
use super::{AttemptSchedule, FaultMode, TimeRange};
use crate::spec::ProbeTiming;

/// Returns the time from the end of a fault until the probe has succeeded.
///
/// At best an attempt starts with the end of the fault. At worst one started just before, and the next one succeeds.
pub(super) fn recovery(probe: &ProbeTiming, mode: FaultMode) -> TimeRange {
    let schedule = AttemptSchedule::kubelet(probe);
    let next_attempt = schedule.spacing(schedule.failed_attempt(mode));
    TimeRange::new(Duration::ZERO, next_attempt) + further_successes_after_failures(probe, mode)
}

/// Returns the time from the first success to the success threshold, one period each.
pub(super) fn further_successes(probe: &ProbeTiming) -> TimeRange {
    let time = times(probe.period, probe.success_threshold.saturating_sub(1));
    TimeRange::new(time, time)
}

/// Like [`further_successes`], for a probe that the preceding unready status has triggered.
///
/// If an attempt lasts at least a period, both a tick and the trigger are pending at its end. The two attempts that follow it
/// start at the same time.
pub(super) fn further_successes_after_failures(probe: &ProbeTiming, mode: FaultMode) -> TimeRange {
    let mut time = further_successes(probe);
    if mode == FaultMode::Hanging && probe.timeout >= probe.period {
        time.earliest = successes_after_simultaneous(probe, 2);
    }
    time
}

/// Returns the time from the first success to the success threshold if the first `simultaneous` attempts start together.
pub(super) fn successes_after_simultaneous(probe: &ProbeTiming, simultaneous: u32) -> Duration {
    times(
        probe.period,
        probe.success_threshold.saturating_sub(simultaneous),
    )
}

/// Like [`further_successes`], after attempts on a starting container that were triggered by ticks only.
///
/// Attempts that last longer than a period start immediately after each other, but the attempt after the first success starts
/// with the next tick. All starts are multiples of the greatest common divisor of period and timeout apart.
pub(super) fn further_successes_after_ticks(probe: &ProbeTiming, mode: FaultMode) -> TimeRange {
    let mut time = further_successes(probe);
    if mode == FaultMode::Hanging && probe.timeout > probe.period && probe.success_threshold > 1 {
        time.earliest = greatest_common_divisor(probe.period, probe.timeout)
            + successes_after_simultaneous(probe, 2);
    }
    time
}

fn greatest_common_divisor(a: Duration, b: Duration) -> Duration {
    let (mut a, mut b) = (a.as_secs(), b.as_secs());
    while b > 0 {
        (a, b) = (b, a % b);
    }
    Duration::from_secs(a)
}
