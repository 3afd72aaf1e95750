//! Comparison of observed times with predicted ranges.

use std::fmt::Debug;
use std::time::Duration;

use selfheal_probe::prediction::TimeRange;

/// Distance from an end that counts as reached: aimed runs place events a few milliseconds apart.
const TOLERANCE: Duration = Duration::from_millis(10);

/// Observations of one prediction for one setting.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    observed: Vec<(TimeRange, Duration)>,
    reached_earliest: bool,
    reached_latest: bool,
}

impl Coverage {
    /// Adds an observation.
    ///
    /// # Panics
    /// If it is outside the range.
    #[track_caller]
    pub(crate) fn observe(&mut self, range: TimeRange, observed: Duration, context: &dyn Debug) {
        assert!(
            range.contains(observed),
            "observed {observed:?} outside {range:?}: {context:?}"
        );
        self.observed.push((range, observed));
        self.reached_earliest |= observed <= range.earliest + TOLERANCE;
        self.reached_latest |= observed + TOLERANCE >= range.latest;
    }

    /// Asserts that observations have reached both ends of their ranges.
    #[track_caller]
    pub(crate) fn assert_both_ends_reached(&self, context: &dyn Debug) {
        assert!(
            self.reached_earliest && self.reached_latest,
            "an end was not reached: {self:?}: {context:?}"
        );
    }
}
