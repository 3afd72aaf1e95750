//! A token bucket over the node's clock.

use std::time::Duration;

/// Holds up to `burst` tokens and gains `rate` a second.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    burst: f64,
    rate: f64,
    tokens: f64,
    seen: Duration,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn full(burst: f64, rate: f64, now: Duration) -> Self {
        Self {
            burst,
            rate,
            tokens: burst,
            seen: now,
        }
    }

    /// Takes a token if there is one.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        self.refill(now);
        let some = self.tokens >= 1.0;
        if some {
            self.tokens -= 1.0;
        }
        some
    }

    /// Takes a token that may still have to come, and says how long that is.
    pub(super) fn reserve(&mut self, now: Duration) -> Duration {
        self.refill(now);
        self.tokens -= 1.0;
        Duration::from_secs_f64((-self.tokens / self.rate).max(0.0))
    }

    fn refill(&mut self, now: Duration) {
        let gained = now.saturating_sub(self.seen).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + gained).min(self.burst);
        self.seen = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn an_empty_bucket_gives_nothing_until_a_whole_token_has_come() {
        let mut bucket = Bucket::full(2.0, 0.5, secs(10));
        assert!(bucket.take(secs(10)));
        assert!(bucket.take(secs(10)));
        assert!(!bucket.take(secs(11)), "half a token is none");
        assert!(bucket.take(secs(12)));
        assert!(!bucket.take(secs(12)));
    }

    #[test]
    fn a_bucket_never_holds_more_than_its_burst() {
        let mut bucket = Bucket::full(2.0, 1.0, secs(0));
        let taken = (0..5).filter(|_| bucket.take(secs(1000))).count();
        assert_eq!(taken, 2);
    }

    #[test]
    fn a_reservation_waits_for_its_own_token_behind_the_others() {
        let mut bucket = Bucket::full(1.0, 0.5, secs(0));
        let waits: Vec<_> = (0..3).map(|_| bucket.reserve(secs(0))).collect();
        assert_eq!(waits, [secs(0), secs(2), secs(4)]);
    }
}
