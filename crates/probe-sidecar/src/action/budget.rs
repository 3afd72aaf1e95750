//! How often an action may be done. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// Why an action has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It was done a moment ago.
    CoolDown,
    /// It was done too often.
    Budget,
}

/// Remembers when an action was done.
#[derive(Debug)]
pub(super) struct Budget {
    cool_down: Duration,
    most: usize,
    window: Duration,
    done: VecDeque<Duration>,
}

impl Budget {
    pub(super) fn new(cool_down: Duration, most: usize, window: Duration) -> Self {
        Self {
            cool_down,
            most,
            window,
            done: VecDeque::new(),
        }
    }

    /// Nothing if it may be done `now`, else until when it may not, and why.
    pub(super) fn held(&self, now: Duration) -> Option<(Duration, Held)> {
        let cooled = self.done.back().map(|last| *last + self.cool_down);
        let oldest = self.done.len().checked_sub(self.most);
        let freed = oldest
            .and_then(|at| self.done.get(at))
            .map(|at| *at + self.window);
        let waits = [(freed, Held::Budget), (cooled, Held::CoolDown)];
        let waits = waits
            .into_iter()
            .filter_map(|(until, why)| Some((until?, why)));
        waits
            .filter(|(until, _)| *until > now)
            .max_by_key(|(until, _)| *until)
    }

    pub(super) fn take(&mut self, now: Duration) {
        if self.done.len() == self.most {
            self.done.pop_front();
        }
        self.done.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_action_cools_down_and_has_a_budget() {
        let mut budget = Budget::new(10 * SECOND, 2, 100 * SECOND);
        assert_eq!(budget.held(SECOND), None);
        budget.take(SECOND);
        assert_eq!(budget.held(SECOND), Some((11 * SECOND, Held::CoolDown)));
        assert_eq!(budget.held(11 * SECOND), None);
        budget.take(11 * SECOND);
        assert_eq!(budget.held(30 * SECOND), Some((101 * SECOND, Held::Budget)));
        assert_eq!(budget.held(101 * SECOND), None);
        budget.take(101 * SECOND);
        assert_eq!(
            budget.held(105 * SECOND),
            Some((111 * SECOND, Held::CoolDown))
        );
    }
}
