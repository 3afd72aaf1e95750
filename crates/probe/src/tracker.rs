//! Thresholds: counts consecutive equal outcomes and derives the result. Pure.

use crate::results::{ProbeKind, ProbeResult};

/// Counts the outcomes of one probe.
#[derive(Clone, Debug)]
pub struct Tracker {
    kind: ProbeKind,
    success_threshold: u32,
    failure_threshold: u32,
    last: Option<bool>,
    result_run: u32,
    on_hold: bool,
}

impl Tracker {
    /// Creates a tracker without outcomes.
    #[must_use]
    pub fn new(kind: ProbeKind, success_threshold: u32, failure_threshold: u32) -> Self {
        Self {
            kind,
            success_threshold,
            failure_threshold,
            last: None,
            result_run: 0,
            on_hold: false,
        }
    }

    /// Counts an outcome. Returns the result if a threshold is reached.
    ///
    /// A liveness failure, or either result of a startup probe, puts the probe on hold until [`Self::resume`].
    pub fn observe(&mut self, success: bool) -> Option<ProbeResult> {
        if self.last == Some(success) {
            self.result_run = self.result_run.saturating_add(1);
        } else {
            self.last = Some(success);
            self.result_run = 1;
        }
        let threshold = if success {
            self.success_threshold
        } else {
            self.failure_threshold
        };
        if self.result_run < threshold {
            return None;
        }
        if self.kind == ProbeKind::Startup || (self.kind == ProbeKind::Liveness && !success) {
            self.on_hold = true;
            self.result_run = 0;
        }
        Some(if success {
            ProbeResult::Success
        } else {
            ProbeResult::Failure
        })
    }

    /// Returns `true` if the probe must not run before there is a new container.
    #[must_use]
    pub fn is_on_hold(&self) -> bool {
        self.on_hold
    }

    /// Number of consecutive equal outcomes.
    #[must_use]
    pub fn result_run(&self) -> u32 {
        self.result_run
    }

    /// Ends the hold, for a new container. The counter is not reset, as in the kubelet.
    pub fn resume(&mut self) {
        self.on_hold = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: ProbeKind, thresholds: (u32, u32), attempts: &str, expected: &str) {
        let mut tracker = Tracker::new(kind, thresholds.0, thresholds.1);
        let results: String = attempts
            .chars()
            .map(|attempt| match tracker.observe(attempt == '+') {
                None => '.',
                Some(ProbeResult::Success) => '+',
                Some(_) => '-',
            })
            .collect();
        assert_eq!(results, expected, "{attempts}");
    }

    #[test]
    fn consecutive_equal_outcomes_reach_the_threshold() {
        check(ProbeKind::Readiness, (1, 1), "+-+", "+-+");
        check(ProbeKind::Readiness, (1, 3), "--+---", "..+..-");
        check(ProbeKind::Readiness, (3, 1), "++-+++", "..-..+");
        check(ProbeKind::Liveness, (1, 2), "-+--", ".+.-");
    }

    #[test]
    fn startup_results_and_liveness_failures_hold_and_reset_the_counter() {
        for (kind, success, held) in [
            (ProbeKind::Startup, true, true),
            (ProbeKind::Startup, false, true),
            (ProbeKind::Liveness, false, true),
            (ProbeKind::Liveness, true, false),
            (ProbeKind::Readiness, true, false),
            (ProbeKind::Readiness, false, false),
        ] {
            let mut tracker = Tracker::new(kind, 1, 1);
            tracker.observe(success);
            assert_eq!(
                (tracker.is_on_hold(), tracker.result_run()),
                (held, u32::from(!held)),
                "{kind:?} {success}"
            );
            tracker.resume();
            assert!(!tracker.is_on_hold());
        }
    }

    #[test]
    fn counter_is_kept_across_containers() {
        let mut tracker = Tracker::new(ProbeKind::Liveness, 1, 3);
        assert_eq!(
            [tracker.observe(false), tracker.observe(false)],
            [None, None]
        );
        tracker.resume();
        assert_eq!(tracker.observe(false), Some(ProbeResult::Failure));
    }
}
