//! The chapter's fault: after a number of successful calls the instance is broken until it is healed.

use std::{
    num::NonZeroU64,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Counts calls exactly, however many arrive at once.
#[derive(Debug)]
pub struct Breaker {
    limit: Option<NonZeroU64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    broken: bool,
}

/// A call that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The instance works on.
    Counted,
    /// The call was the last allowed one: the instance is broken now.
    Last,
}

/// The instance is broken; the call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl Breaker {
    /// Breaks with the `limit`-th call, which still succeeds; never when there is no limit.
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
    /// [`Broken`] from the call after the last allowed one on. A refused call is not counted.
    pub fn call(&self) -> Result<Call, Broken> {
        let mut state = self.lock();
        if state.broken {
            return Err(Broken);
        }
        state.calls += 1;
        state.broken = self.limit.is_some_and(|limit| state.calls >= limit.get());
        Ok(if state.broken {
            Call::Last
        } else {
            Call::Counted
        })
    }

    /// Heals the instance and counts from zero again: the next `limit` calls succeed.
    pub fn reset(&self) {
        *self.lock() = State::default();
    }

    /// Whether the instance is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.lock().broken
    }

    /// Calls that succeeded since the start or the last reset.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::{Breaker, Broken, Call};

    #[track_caller]
    fn check(limit: u64, calls: usize, succeed: usize) {
        let breaker = Breaker::new(NonZeroU64::new(limit));
        let answers: Vec<_> = (0..calls).map(|_| breaker.call()).collect();
        let mut expected = vec![Ok(Call::Counted); succeed];
        if let Some(last) = expected.last_mut().filter(|_| limit > 0) {
            *last = Ok(Call::Last);
        }
        expected.resize(calls, Err(Broken));
        assert_eq!(answers, expected);
        assert_eq!(
            breaker.calls(),
            succeed as u64,
            "refused calls are not counted"
        );
    }

    #[test]
    fn the_last_allowed_call_succeeds_and_the_next_does_not() {
        check(1, 3, 1);
        check(2, 3, 2);
        check(3, 3, 3);
    }

    #[test]
    fn zero_never_breaks() {
        check(0, 50, 50);
    }

    #[test]
    fn it_is_broken_as_soon_as_the_last_allowed_call_was_made() {
        let breaker = Breaker::new(NonZeroU64::new(2));
        breaker.call().unwrap();
        assert!(!breaker.is_broken());
        breaker.call().unwrap();
        assert!(breaker.is_broken());
    }

    #[test]
    fn a_reset_allows_as_many_calls_as_at_the_start() {
        let breaker = Breaker::new(NonZeroU64::new(2));
        while breaker.call().is_ok() {}
        breaker.reset();
        assert!(!breaker.is_broken());
        assert_eq!(
            [(); 3].map(|()| breaker.call()),
            [Ok(Call::Counted), Ok(Call::Last), Err(Broken)]
        );
    }
}
