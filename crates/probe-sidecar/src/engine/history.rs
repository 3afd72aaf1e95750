//! What a probe found lately, in few bytes: there may be ten thousand probes.

use std::collections::VecDeque;
use std::time::Duration;

/// So many attempts are remembered of each probe.
pub const KEPT: usize = 60;

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It counted as a success.
    Success,
    /// It counted as a failure.
    Failure,
    /// It could not be made, and did not count.
    Error,
}

impl Mark {
    /// Its word in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// One attempt, on the engine's clock. Each probe has room for [`KEPT`] of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Milliseconds, of which two bytes more are in `at_high`: in the four alone there is room for seven weeks.
    at_low: u32,
    took_us: u32,
    at_high: u16,
    /// How it ended.
    pub mark: Mark,
}

const LOW: u32 = u32::BITS;
/// The last moment that a sample has room for, in nine thousand years.
const LAST_MS: u64 = (1 << (LOW + u16::BITS)) - 1;

impl Sample {
    /// An attempt that ended at `at` of the engine's clock.
    #[must_use]
    pub fn new(at: Duration, took: Duration, mark: Mark) -> Self {
        let at = u64::try_from(at.as_millis()).map_or(LAST_MS, |at| at.min(LAST_MS));
        Self {
            at_low: at as u32,
            took_us: u32::try_from(took.as_micros()).unwrap_or(u32::MAX),
            at_high: (at >> LOW) as u16,
            mark,
        }
    }

    /// When it ended.
    #[must_use]
    pub fn at(&self) -> Duration {
        Duration::from_millis(u64::from(self.at_high) << LOW | u64::from(self.at_low))
    }

    /// What it took.
    #[must_use]
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.took_us.into())
    }
}

/// The latest of a kind, oldest first.
#[derive(Debug)]
pub struct Latest<T> {
    items: VecDeque<T>,
    kept: usize,
}

impl<T> Latest<T> {
    /// Room is made as it is needed: for what seldom happens.
    pub(super) fn new(kept: usize) -> Self {
        Self {
            items: VecDeque::new(),
            kept,
        }
    }

    /// All the room is made at once: what is sure to be filled is not to look like a leak for its first hour.
    pub(super) fn with_room(kept: usize) -> Self {
        Self {
            items: VecDeque::with_capacity(kept),
            kept,
        }
    }

    pub(super) fn push(&mut self, item: T) {
        if self.items.len() == self.kept {
            self.items.pop_front();
        }
        self.items.push_back(item);
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_for_the_newest() {
        let mut latest = Latest::new(2);
        for item in 1..=3 {
            latest.push(item);
        }
        assert_eq!(latest.iter().copied().collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn room_that_is_made_at_once_is_enough_for_good() {
        let mut latest = Latest::with_room(3);
        let room = latest.items.capacity();
        for item in 1..=9 {
            latest.push(item);
        }
        assert_eq!(latest.items.capacity(), room);
        assert_eq!(latest.iter().copied().collect::<Vec<_>>(), [7, 8, 9]);
    }

    #[test]
    fn a_sample_takes_twelve_bytes_and_says_what_it_was_told() {
        assert_eq!(size_of::<Sample>(), 12);
        let longest = Duration::from_millis(LAST_MS);
        for (at, kept) in [
            (Duration::ZERO, Duration::ZERO),
            (Duration::from_millis(5), Duration::from_millis(5)),
            (
                Duration::from_secs(4_294_968),
                Duration::from_secs(4_294_968),
            ),
            (longest, longest),
            (longest + Duration::from_millis(1), longest),
            (Duration::MAX, longest),
        ] {
            let sample = Sample::new(at, Duration::from_micros(7), Mark::Error);
            assert_eq!(sample.at(), kept, "{at:?}");
            assert_eq!(sample.took(), Duration::from_micros(7));
            assert_eq!(sample.mark, Mark::Error);
        }
    }

    #[test]
    fn an_attempt_that_took_more_than_an_hour_took_the_most_that_is_told() {
        let sample = Sample::new(Duration::ZERO, Duration::from_secs(4_295), Mark::Success);
        assert_eq!(sample.took(), Duration::from_micros(u32::MAX.into()));
    }
}
