//! Recent attempts of a probe in a compact form: there may be ten thousand probes.

use std::collections::VecDeque;
use std::time::Duration;

/// Number of attempts that are kept of each probe.
pub const HISTORY_LEN: usize = 60;

/// Effect of an attempt on the thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// Counted as a success.
    Success,
    /// Counted as a failure.
    Failure,
    /// Could not be made or judged; not counted.
    Error,
}

impl AttemptResult {
    /// Name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// An attempt in the history of a probe, in 12 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Low half of the time in milliseconds; `at_high` has two bytes more, because four bytes overflow after seven weeks.
    at_low: u32,
    took_us: u32,
    at_high: u16,
    /// Effect on the thresholds.
    pub result: AttemptResult,
}

const LOW: u32 = u32::BITS;
/// Maximum time of a sample: nine thousand years.
const MAX_MS: u64 = (1 << (LOW + u16::BITS)) - 1;

impl Sample {
    /// Creates the sample of an attempt that finished at `at` on the clock of the engine.
    #[must_use]
    pub fn new(at: Duration, took: Duration, result: AttemptResult) -> Self {
        let at = u64::try_from(at.as_millis()).map_or(MAX_MS, |at| at.min(MAX_MS));
        Self {
            at_low: at as u32,
            took_us: u32::try_from(took.as_micros()).unwrap_or(u32::MAX),
            at_high: (at >> LOW) as u16,
            result,
        }
    }

    /// Time of the end on the clock of the engine.
    #[must_use]
    pub fn ended_at(&self) -> Duration {
        Duration::from_millis(u64::from(self.at_high) << LOW | u64::from(self.at_low))
    }

    /// Duration of the attempt, at most 71 minutes.
    #[must_use]
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.took_us.into())
    }
}

/// The latest items, oldest first.
#[derive(Clone, Debug)]
pub struct RingBuffer<T> {
    items: VecDeque<T>,
    len: usize,
}

impl<T> RingBuffer<T> {
    /// Creates a buffer that allocates on demand, for rare items.
    pub(super) fn new(len: usize) -> Self {
        Self {
            items: VecDeque::new(),
            len,
        }
    }

    /// Creates a buffer that allocates all its memory immediately, so that filling it does not look like a leak.
    pub(super) fn with_capacity(len: usize) -> Self {
        Self {
            items: VecDeque::with_capacity(len),
            len,
        }
    }

    pub(super) fn push(&mut self, item: T) {
        if self.items.len() == self.len {
            self.items.pop_front();
        }
        self.items.push_back(item);
    }

    /// Iterates over the items, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_buffer_drops_the_oldest_item() {
        let mut buffer = RingBuffer::new(2);
        for item in 1..=3 {
            buffer.push(item);
        }
        assert_eq!(buffer.iter().copied().collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn buffer_with_capacity_never_reallocates() {
        let mut buffer = RingBuffer::with_capacity(3);
        let capacity = buffer.items.capacity();
        for item in 1..=9 {
            buffer.push(item);
        }
        assert_eq!(buffer.items.capacity(), capacity);
        assert_eq!(buffer.iter().copied().collect::<Vec<_>>(), [7, 8, 9]);
    }

    #[test]
    fn sample_has_twelve_bytes_and_keeps_its_values() {
        assert_eq!(size_of::<Sample>(), 12);
        let longest = Duration::from_millis(MAX_MS);
        for (at, expected) in [
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
            let sample = Sample::new(at, Duration::from_micros(7), AttemptResult::Error);
            assert_eq!(sample.ended_at(), expected, "{at:?}");
            assert_eq!(sample.took(), Duration::from_micros(7));
            assert_eq!(sample.result, AttemptResult::Error);
        }
    }

    #[test]
    fn duration_above_the_maximum_is_the_maximum() {
        let sample = Sample::new(
            Duration::ZERO,
            Duration::from_secs(4_295),
            AttemptResult::Success,
        );
        assert_eq!(sample.took(), Duration::from_micros(u32::MAX.into()));
    }
}
