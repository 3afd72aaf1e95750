//! Delays before restarts.

use std::time::Duration;

/// Delay before the first restart. It doubles with each further one.
const INITIAL_DELAY: Duration = Duration::from_secs(1);
/// Maximum delay.
const MAX_DELAY: Duration = Duration::from_secs(60);
/// A component that ran for this long without a panic starts again from the initial delay.
pub(super) const RESET_AFTER: Duration = Duration::from_secs(5 * 60);

/// Returns the delay after `previous` consecutive panics.
pub(super) fn delay(previous: u32) -> Duration {
    let doubled = INITIAL_DELAY.saturating_mul(2_u32.saturating_pow(previous));
    doubled.min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restart_delays_double_from_one_second_to_one_minute() {
        let delays = [0, 1, 2, 5, 6, 99].map(|previous| delay(previous).as_secs());
        assert_eq!(delays, [1, 2, 4, 32, 60, 60]);
    }
}
