//! Counters of a probe's attempts, for metrics.

use std::time::Duration;

use super::history::AttemptResult;
use super::state::Status;
use crate::outcome::FailureReason;

/// Upper bounds of the kubelet's histogram, in seconds.
pub const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Counters since the start of the probe.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Attempts that succeeded.
    pub successful: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts that could not be made or judged.
    pub errors: u64,
    /// Total duration of successful attempts in seconds.
    pub seconds: f64,
    /// Successful attempts per bucket of [`BUCKETS`], then `+Inf`. Not cumulative.
    pub buckets: [u32; BUCKETS.len() + 1],
    /// Failures by reason.
    pub reasons: Vec<(&'static str, u64)>,
    /// Transitions by their new status.
    pub transitions: Vec<(Status, u64)>,
}

impl Totals {
    /// Counts an attempt. As in the kubelet, only successes have a duration.
    pub(super) fn count(
        &mut self,
        result: AttemptResult,
        took: Duration,
        reason: Option<FailureReason>,
    ) {
        match result {
            AttemptResult::Success => {
                let seconds = took.as_secs_f64();
                self.successful += 1;
                self.seconds += seconds;
                let bucket = BUCKETS.partition_point(|bound| *bound < seconds);
                self.buckets[bucket] = self.buckets[bucket].saturating_add(1);
            }
            AttemptResult::Failure => {
                self.failed += 1;
                let kind = reason.map_or("other", |reason| reason.kind);
                increment(&mut self.reasons, kind);
            }
            AttemptResult::Error => self.errors += 1,
        }
    }

    pub(super) fn count_transition(&mut self, to: Status) {
        increment(&mut self.transitions, to);
    }

    /// Number of finished attempts.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.successful + self.failed + self.errors
    }
}

fn increment<T: PartialEq>(counts: &mut Vec<(T, u64)>, key: T) {
    match counts.iter_mut().find(|(known, _)| *known == key) {
        Some((_, count)) => *count += 1,
        None => counts.push((key, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_counted_in_the_first_bucket_that_contains_it() {
        for (millis, bucket) in [(0, 0), (5, 0), (6, 1), (10_000, 10), (10_001, 11)] {
            let mut totals = Totals::default();
            totals.count(AttemptResult::Success, Duration::from_millis(millis), None);
            assert_eq!(totals.buckets[bucket], 1, "{millis} ms");
        }
    }

    #[test]
    fn failures_are_counted_by_reason_and_have_no_duration() {
        let mut totals = Totals::default();
        for kind in ["refused", "tls", "refused"] {
            totals.count(
                AttemptResult::Failure,
                Duration::from_secs(1),
                Some(FailureReason { kind, code: None }),
            );
        }
        totals.count(AttemptResult::Error, Duration::from_secs(1), None);
        assert_eq!(totals.reasons, [("refused", 2), ("tls", 1)]);
        assert_eq!((totals.failed, totals.errors, totals.attempts()), (3, 1, 4));
        assert_eq!(totals.buckets.iter().sum::<u32>(), 0);
    }
}
