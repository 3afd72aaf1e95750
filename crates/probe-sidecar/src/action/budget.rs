//! Rate limit of an action, without a clock.

use std::collections::VecDeque;
use std::time::Duration;

/// Reason why an action is throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Throttled {
    /// The cool-down has not passed.
    CoolDown,
    /// The maximum number of runs in the window is reached.
    Budget,
}

/// Times of the latest runs of an action.
#[derive(Debug)]
pub(super) struct Budget {
    cool_down: Duration,
    max_runs: usize,
    window: Duration,
    runs: VecDeque<Duration>,
    /// Run that the latest one replaced.
    dropped: Option<Duration>,
}

impl Budget {
    /// Creates a budget with the runs of the past.
    pub(super) fn new(
        cool_down: Duration,
        max_runs: usize,
        window: Duration,
        runs: Vec<Duration>,
    ) -> Self {
        let excess = runs.len().saturating_sub(max_runs);
        Self {
            cool_down,
            max_runs,
            window,
            runs: runs.into_iter().skip(excess).collect(),
            dropped: None,
        }
    }

    /// Returns the end of the throttling and its reason, or `None` if the action may run `now`.
    pub(super) fn throttled_until(&self, now: Duration) -> Option<(Duration, Throttled)> {
        let cooled = self.runs.back().map(|last| *last + self.cool_down);
        let oldest = self.runs.len().checked_sub(self.max_runs);
        let freed = oldest
            .and_then(|at| self.runs.get(at))
            .map(|at| *at + self.window);
        let limits = [(freed, Throttled::Budget), (cooled, Throttled::CoolDown)];
        let limits = limits
            .into_iter()
            .filter_map(|(until, reason)| Some((until?, reason)));
        limits
            .filter(|(until, _)| *until > now)
            .max_by_key(|(until, _)| *until)
    }

    pub(super) fn record(&mut self, now: Duration) {
        if self.runs.len() == self.max_runs {
            self.dropped = self.runs.pop_front();
        }
        self.runs.push_back(now);
    }

    /// Removes the latest run, which failed.
    pub(super) fn undo(&mut self) {
        self.runs.pop_back();
        if let Some(oldest) = self.dropped.take() {
            self.runs.push_front(oldest);
        }
    }

    /// Returns the times of the latest runs.
    pub(super) fn runs(&self) -> Vec<Duration> {
        self.runs.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn action_is_throttled_by_cool_down_and_budget() {
        let mut budget = Budget::new(10 * SECOND, 2, 100 * SECOND, Vec::new());
        assert_eq!(budget.throttled_until(SECOND), None);
        budget.record(SECOND);
        assert_eq!(
            budget.throttled_until(SECOND),
            Some((11 * SECOND, Throttled::CoolDown))
        );
        assert_eq!(budget.throttled_until(11 * SECOND), None);
        budget.record(11 * SECOND);
        assert_eq!(
            budget.throttled_until(30 * SECOND),
            Some((101 * SECOND, Throttled::Budget))
        );
        assert_eq!(budget.throttled_until(101 * SECOND), None);
        budget.record(101 * SECOND);
        assert_eq!(
            budget.throttled_until(105 * SECOND),
            Some((111 * SECOND, Throttled::CoolDown))
        );
        budget.undo();
        assert_eq!(budget.runs(), [SECOND, 11 * SECOND]);
        let later = Budget::new(10 * SECOND, 1, 100 * SECOND, budget.runs());
        assert_eq!(
            later.throttled_until(30 * SECOND),
            Some((111 * SECOND, Throttled::Budget))
        );
    }
}
