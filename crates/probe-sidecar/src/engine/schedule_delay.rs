//! Histogram of the delay between the scheduled and the actual start of attempts: it shows whether the sidecar keeps up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in seconds.
pub const BOUNDS: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0];

/// Histogram of delays.
#[derive(Debug, Default)]
pub struct ScheduleDelay {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl ScheduleDelay {
    pub(super) fn record(&self, delay: Duration) {
        let bucket = BOUNDS.partition_point(|bound| *bound < delay.as_secs_f64());
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Attempts per bucket of [`BOUNDS`], then `+Inf`. Not cumulative.
    #[must_use]
    pub fn counts(&self) -> [u64; BOUNDS.len() + 1] {
        std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed))
    }

    /// Sum of all delays.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }
}
