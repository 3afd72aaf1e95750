//! The chapter's fault: after a number of successful calls the instance fails until it is reset.

use std::{num::NonZeroU64, sync::Mutex};

use http_service::sync::lock;

/// Counts calls exactly, also concurrent ones, and fails after the last allowed one.
#[derive(Debug)]
pub struct FailAfter {
    limit: Option<NonZeroU64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    is_broken: bool,
}

/// A call that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Further calls will succeed.
    Counted,
    /// The last allowed call: the instance is broken now.
    Last,
}

/// Error of a call to a broken instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached;

impl FailAfter {
    /// Returns an instance that breaks with the `limit`-th call, which still succeeds; without a limit it never breaks.
    #[must_use]
    pub fn new(limit: Option<NonZeroU64>) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    /// Counts one call.
    ///
    /// # Errors
    /// [`LimitReached`] for every call after the last allowed one. Failed calls are not counted.
    pub fn call(&self) -> Result<Call, LimitReached> {
        let mut state = lock(&self.state);
        if state.is_broken {
            return Err(LimitReached);
        }
        state.calls += 1;
        state.is_broken = self.limit.is_some_and(|limit| state.calls >= limit.get());
        Ok(if state.is_broken {
            Call::Last
        } else {
            Call::Counted
        })
    }

    /// Repairs the instance and resets the counter: the next `limit` calls succeed.
    pub fn reset(&self) {
        *lock(&self.state) = State::default();
    }

    /// Returns `true` if the instance is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        lock(&self.state).is_broken
    }

    /// Number of calls that succeeded since the start or the last reset.
    #[must_use]
    pub fn calls(&self) -> u64 {
        lock(&self.state).calls
    }

    /// Number of calls after which the instance breaks.
    #[must_use]
    pub fn limit(&self) -> Option<NonZeroU64> {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::{Call, FailAfter, LimitReached};

    #[track_caller]
    fn check(limit: u64, calls: usize, succeed: usize) {
        let counter = FailAfter::new(NonZeroU64::new(limit));
        let results: Vec<_> = (0..calls).map(|_| counter.call()).collect();
        let mut expected = vec![Ok(Call::Counted); succeed];
        if let Some(last) = expected.last_mut().filter(|_| limit > 0) {
            *last = Ok(Call::Last);
        }
        expected.resize(calls, Err(LimitReached));
        assert_eq!(results, expected);
        assert_eq!(
            counter.calls(),
            succeed as u64,
            "failed calls are not counted"
        );
    }

    #[test]
    fn last_allowed_call_succeeds_and_the_next_fails() {
        check(1, 3, 1);
        check(2, 3, 2);
        check(3, 3, 3);
    }

    #[test]
    fn limit_zero_never_breaks() {
        check(0, 50, 50);
    }

    #[test]
    fn instance_is_broken_after_the_last_allowed_call() {
        let counter = FailAfter::new(NonZeroU64::new(2));
        counter.call().unwrap();
        assert!(!counter.is_broken());
        counter.call().unwrap();
        assert!(counter.is_broken());
    }

    #[test]
    fn reset_allows_as_many_calls_as_the_start() {
        let counter = FailAfter::new(NonZeroU64::new(2));
        while counter.call().is_ok() {}
        counter.reset();
        assert!(!counter.is_broken());
        assert_eq!(
            [(); 3].map(|()| counter.call()),
            [Ok(Call::Counted), Ok(Call::Last), Err(LimitReached)]
        );
    }
}
