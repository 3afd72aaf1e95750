//! How long to wait until a database that is away is asked again.

use std::time::Duration;

/// The most that the first pause may be.
const FIRST: Duration = Duration::from_millis(100);
/// The most that any may be: a database that is back is to be in use again within two seconds.
const LONGEST: Duration = Duration::from_secs(1);

/// Pauses that may grow to twice the one before.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { most: FIRST }
    }
}

impl Backoff {
    /// The next pause. `jitter`, from 0 to 1, keeps replicas that lost their database together from asking in step.
    pub(super) fn next(&mut self, jitter: f64) -> Duration {
        let pause = self.most.mul_f64(0.5 + 0.5 * jitter);
        self.most = LONGEST.min(self.most * 2);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second() {
        for (jitter, expected) in [
            (0.0, [50, 100, 200, 400, 500, 500]),
            (0.5, [75, 150, 300, 600, 750, 750]),
            (1.0, [100, 200, 400, 800, 1000, 1000]),
        ] {
            let mut backoff = Backoff::default();
            let pauses = expected.map(|_| backoff.next(jitter).as_millis());
            assert_eq!(pauses, expected, "{jitter}");
        }
    }
}
