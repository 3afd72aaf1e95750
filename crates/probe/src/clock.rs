//! Virtual time for the probes and their hosts: tokio's clock at a configurable speed, with a time of day.
//!
//! The system clock is not read after construction. Pausing tokio's time therefore pauses everything that uses a
//! [`Clock`], and with a speed of 10 a period of ten seconds lasts one second.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A clock that runs `speed` times as fast as tokio's.
///
/// Its durations and timestamps are virtual time, the time that Kubernetes objects show, unless a method names real time.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Instant,
    wall: Timestamp,
    speed: f64,
    /// Real time of day at `origin`, if [`Self::now`] must not return a later time than the real one.
    limit: Option<Timestamp>,
}

impl Clock {
    /// Starts a clock whose time of day is `wall` now and which runs `speed` times as fast as tokio's.
    ///
    /// # Panics
    /// If `speed` is not a positive finite number. Callers check values that users enter.
    #[must_use]
    pub fn new(wall: Timestamp, speed: f64) -> Self {
        assert!(
            speed.is_finite() && speed > 0.0,
            "the speed of a clock must be a positive finite number"
        );
        Self {
            origin: Instant::now(),
            wall,
            speed,
            limit: None,
        }
    }

    /// Starts a clock that never returns a time later than the real one, which is `wall` now.
    ///
    /// A clock that is faster than real time starts in the past, such that it reaches the real time after `horizon` of real
    /// time. From then on [`Self::now`] returns the real time, while durations keep their speed. Clients that use the real
    /// time, such as kubectl, print a timestamp in their future as `<invalid>`.
    ///
    /// # Panics
    /// If `speed` is not a positive finite number.
    #[must_use]
    pub fn never_ahead(wall: Timestamp, speed: f64, horizon: Duration) -> Self {
        let lead = horizon.mul_f64((speed - 1.0).max(0.0));
        let lead = SignedDuration::try_from(lead).unwrap_or(SignedDuration::MAX);
        let start = wall.saturating_sub(lead).unwrap_or(Timestamp::MIN);
        Self {
            limit: Some(wall),
            ..Self::new(start, speed)
        }
    }

    /// Factor between virtual and real time.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Returns the virtual time of day.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let shown = add_saturating(self.wall, self.elapsed());
        match self.limit {
            Some(wall) => shown.min(add_saturating(wall, self.origin.elapsed())),
            None => shown,
        }
    }

    /// Returns the virtual time since the clock was started.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed().mul_f64(self.speed)
    }

    /// Converts virtual time to tokio's.
    #[must_use]
    pub fn to_real(&self, duration: Duration) -> Duration {
        duration.div_f64(self.speed)
    }

    /// Converts tokio's time to virtual time, rounded to milliseconds for display.
    #[must_use]
    pub fn from_real(&self, duration: Duration) -> Duration {
        let milliseconds = duration.mul_f64(self.speed).as_secs_f64() * 1000.0;
        Duration::from_secs_f64(milliseconds.round() / 1000.0)
    }

    /// Waits for `duration` of virtual time.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(self.to_real(duration)).await;
    }

    /// Waits until [`Self::now`] returns `deadline`; returns immediately if it has passed.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        let left = deadline.duration_since(self.now());
        self.sleep(Duration::try_from(left).unwrap_or(Duration::ZERO))
            .await;
    }
}

fn add_saturating(timestamp: Timestamp, elapsed: Duration) -> Timestamp {
    let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
    timestamp.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::Clock;

    #[tokio::test(start_paused = true)]
    async fn limited_clock_is_never_ahead_of_real_time() {
        let wall = Timestamp::UNIX_EPOCH;
        for speed in [0.5, 1.0, 5.0, 100.0] {
            let clock = Clock::never_ahead(wall, speed, Duration::from_secs(60));
            let mut shown = clock.now();
            for second in 1..100_u64 {
                tokio::time::advance(Duration::from_secs(1)).await;
                let real = wall + Duration::from_secs(second);
                assert!(clock.now() <= real, "speed {speed}, second {second}");
                let step = clock.now().duration_since(shown).as_secs_f64();
                let expected = if second <= 60 { speed } else { speed.min(1.0) };
                assert!(
                    (step - expected).abs() < 1e-6,
                    "speed {speed}, second {second}: {step}"
                );
                shown = clock.now();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn duration_converted_to_real_time_and_back_is_the_same_at_any_speed() {
        for speed in [1.0, 3.0, 5.0, 7.0, 0.3] {
            let clock = Clock::new(Timestamp::UNIX_EPOCH, speed);
            for milliseconds in [1, 50, 1_000, 30_000] {
                let virtual_time = Duration::from_millis(milliseconds);
                assert_eq!(
                    clock.from_real(clock.to_real(virtual_time)),
                    virtual_time,
                    "{speed}"
                );
            }
        }
    }
}
