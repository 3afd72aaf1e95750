//! Time for the engine and its hosts: tokio's clock, at a chosen pace, with a wall-clock reading beside it.
//!
//! Nothing here reads the system clock after construction, so pausing tokio's time pauses everything that
//! asks a [`Clock`], and a pace of 10 makes a ten-second period last one second.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A clock that runs `pace` times as fast as tokio's.
///
/// Durations given to and returned by it are in its own time: the time that Kubernetes objects show.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Instant,
    wall: Timestamp,
    pace: f64,
    /// Real time of day at `origin`, if the clock may not show a time after the real one.
    limit: Option<Timestamp>,
}

impl Clock {
    /// Starts a clock that shows `wall` now and runs `pace` times as fast as tokio's.
    ///
    /// # Panics
    /// When `pace` is not a positive finite number; whoever reads it from a user checks it there.
    #[must_use]
    pub fn new(wall: Timestamp, pace: f64) -> Self {
        assert!(
            pace.is_finite() && pace > 0.0,
            "a clock's pace is a positive number"
        );
        Self {
            origin: Instant::now(),
            wall,
            pace,
            limit: None,
        }
    }

    /// Starts a clock that never shows a time after the real one, which is `wall` now.
    ///
    /// A clock that is faster than real time starts so far in the past that it reaches the real time after `horizon` of
    /// real time. From then on [`Self::now`] shows the real time, while durations keep their pace. Clients with the real
    /// time, such as kubectl, print a timestamp in their future as `<invalid>`.
    ///
    /// # Panics
    /// When `pace` is not a positive finite number.
    #[must_use]
    pub fn never_ahead(wall: Timestamp, pace: f64, horizon: Duration) -> Self {
        let lead = horizon.mul_f64((pace - 1.0).max(0.0));
        let lead = SignedDuration::try_from(lead).unwrap_or(SignedDuration::MAX);
        let start = wall.saturating_sub(lead).unwrap_or(Timestamp::MIN);
        Self {
            limit: Some(wall),
            ..Self::new(start, pace)
        }
    }

    /// Factor between this clock and real time.
    #[must_use]
    pub fn pace(&self) -> f64 {
        self.pace
    }

    /// The time of day as this clock shows it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let shown = later(self.wall, self.elapsed());
        match self.limit {
            Some(wall) => shown.min(later(wall, self.origin.elapsed())),
            None => shown,
        }
    }

    /// How long this clock has been running, in its own time.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed().mul_f64(self.pace)
    }

    /// What `duration` of this clock's time is in tokio's.
    #[must_use]
    pub fn real(&self, duration: Duration) -> Duration {
        duration.div_f64(self.pace)
    }

    /// What `duration` of tokio's time is in this clock's, to the millisecond: for people, who were told of no fraction.
    #[must_use]
    pub fn told(&self, duration: Duration) -> Duration {
        let milliseconds = duration.mul_f64(self.pace).as_secs_f64() * 1000.0;
        Duration::from_secs_f64(milliseconds.round() / 1000.0)
    }

    /// Waits for `duration` of this clock's time.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(self.real(duration)).await;
    }

    /// Waits until this clock shows `when`; returns at once if it already does.
    pub async fn sleep_until(&self, when: Timestamp) {
        let left = when.duration_since(self.now());
        self.sleep(Duration::try_from(left).unwrap_or(Duration::ZERO))
            .await;
    }
}

fn later(timestamp: Timestamp, elapsed: Duration) -> Timestamp {
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
        for pace in [0.5, 1.0, 5.0, 100.0] {
            let clock = Clock::never_ahead(wall, pace, Duration::from_secs(60));
            let mut shown = clock.now();
            for second in 1..100_u64 {
                tokio::time::advance(Duration::from_secs(1)).await;
                let real = wall + Duration::from_secs(second);
                assert!(clock.now() <= real, "pace {pace}, second {second}");
                let step = clock.now().duration_since(shown).as_secs_f64();
                let expected = if second <= 60 { pace } else { pace.min(1.0) };
                assert!(
                    (step - expected).abs() < 1e-6,
                    "pace {pace}, second {second}: {step}"
                );
                shown = clock.now();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_person_is_told_is_what_was_asked_for_at_any_pace() {
        for pace in [1.0, 3.0, 5.0, 7.0, 0.3] {
            let clock = Clock::new(Timestamp::UNIX_EPOCH, pace);
            for milliseconds in [1, 50, 1_000, 30_000] {
                let asked = Duration::from_millis(milliseconds);
                assert_eq!(clock.told(clock.real(asked)), asked, "{pace}");
            }
        }
    }
}
