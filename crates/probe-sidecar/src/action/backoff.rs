//! Back-off of failed actions.

use std::time::Duration;

const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
/// Limits the damage of an action that has an effect although it reports a failure: 12 runs an hour.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// Delay before the next run after consecutive failures: 1 s, doubled up to 5 min.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    retry_at: Option<Duration>,
}

impl Backoff {
    pub(super) fn record_failure(&mut self, now: Duration) {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let delay = INITIAL_BACKOFF.saturating_mul(factor).min(MAX_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + delay);
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Returns the time of the next attempt if it is after `now`.
    pub(super) fn delayed_until(&self, now: Duration) -> Option<Duration> {
        self.retry_at.filter(|at| *at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_up_to_its_maximum_and_starts_again_after_a_reset() {
        let mut backoff = Backoff::default();
        let mut delays = Vec::new();
        for _ in 0..40 {
            backoff.record_failure(Duration::ZERO);
            delays.extend(backoff.delayed_until(Duration::ZERO).map(|at| at.as_secs()));
        }
        assert_eq!(delays[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(delays[39], 300);
        backoff.reset();
        assert_eq!(backoff.delayed_until(Duration::ZERO), None);
    }
}
