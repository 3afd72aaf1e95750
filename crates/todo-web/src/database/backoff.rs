//! Delays between checks of an unavailable database.

use std::time::Duration;

/// Maximum of the first delay.
const FIRST_MAX: Duration = Duration::from_millis(100);
/// Maximum of all delays: an available database is in use again within two seconds.
const MAX: Duration = Duration::from_secs(1);

/// Delays whose maximum doubles.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { max: FIRST_MAX }
    }
}

impl Backoff {
    /// Returns the next delay. `jitter`, from 0 to 1, spreads the checks of replicas that lost their database together.
    pub(super) fn next(&mut self, jitter: f64) -> Duration {
        let delay = self.max.mul_f64(0.5 + 0.5 * jitter);
        self.max = MAX.min(self.max * 2);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_second() {
        for (jitter, expected) in [
            (0.0, [50, 100, 200, 400, 500, 500]),
            (0.5, [75, 150, 300, 600, 750, 750]),
            (1.0, [100, 200, 400, 800, 1000, 1000]),
        ] {
            let mut backoff = Backoff::default();
            let delays = expected.map(|_| backoff.next(jitter).as_millis());
            assert_eq!(delays, expected, "{jitter}");
        }
    }
}
