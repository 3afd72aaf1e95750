//! Token bucket on the node's clock.

use std::time::Duration;

/// Holds at most `burst` tokens and gains `rate` tokens per second.
#[derive(Clone, Debug)]
pub(super) struct TokenBucket {
    burst: f64,
    rate: f64,
    tokens: f64,
    refilled_at: Duration,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub(super) fn full(burst: f64, rate: f64, now: Duration) -> Self {
        Self {
            burst,
            rate,
            tokens: burst,
            refilled_at: now,
        }
    }

    /// Consumes a token if one is available; returns whether it did.
    pub(super) fn try_acquire(&mut self, now: Duration) -> bool {
        self.refill(now);
        let is_available = self.tokens >= 1.0;
        if is_available {
            self.tokens -= 1.0;
        }
        is_available
    }

    /// Consumes a token, perhaps a future one; returns the time until it is available.
    pub(super) fn reserve(&mut self, now: Duration) -> Duration {
        self.refill(now);
        self.tokens -= 1.0;
        Duration::from_secs_f64((-self.tokens / self.rate).max(0.0))
    }

    fn refill(&mut self, now: Duration) {
        let gained = now.saturating_sub(self.refilled_at).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + gained).min(self.burst);
        self.refilled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn empty_bucket_has_no_token_until_a_whole_one_was_gained() {
        let mut bucket = TokenBucket::full(2.0, 0.5, secs(10));
        assert!(bucket.try_acquire(secs(10)));
        assert!(bucket.try_acquire(secs(10)));
        assert!(!bucket.try_acquire(secs(11)), "half a token");
        assert!(bucket.try_acquire(secs(12)));
        assert!(!bucket.try_acquire(secs(12)));
    }

    #[test]
    fn bucket_never_holds_more_than_its_burst() {
        let mut bucket = TokenBucket::full(2.0, 1.0, secs(0));
        let taken = (0..5).filter(|_| bucket.try_acquire(secs(1000))).count();
        assert_eq!(taken, 2);
    }

    #[test]
    fn reservation_waits_for_the_tokens_of_earlier_ones() {
        let mut bucket = TokenBucket::full(1.0, 0.5, secs(0));
        let waits: Vec<_> = (0..3).map(|_| bucket.reserve(secs(0))).collect();
        assert_eq!(waits, [secs(0), secs(2), secs(4)]);
    }
}
