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

/// One attempt, on the engine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    at_ms: u64,
    took_us: u32,
    /// How it ended.
    pub mark: Mark,
}

impl Sample {
    /// An attempt that ended at `at` of the engine's clock.
    #[must_use]
    pub fn new(at: Duration, took: Duration, mark: Mark) -> Self {
        Self {
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            took_us: u32::try_from(took.as_micros()).unwrap_or(u32::MAX),
            mark,
        }
    }

    /// When it ended.
    #[must_use]
    pub fn at(&self) -> Duration {
        Duration::from_millis(self.at_ms)
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
    pub(super) fn new(kept: usize) -> Self {
        Self {
            items: VecDeque::new(),
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
    fn a_sample_takes_sixteen_bytes() {
        assert_eq!(size_of::<Sample>(), 16);
        let sample = Sample::new(
            Duration::from_millis(5),
            Duration::from_micros(7),
            Mark::Error,
        );
        assert_eq!(
            (sample.at(), sample.took()),
            (Duration::from_millis(5), Duration::from_micros(7))
        );
    }
}
