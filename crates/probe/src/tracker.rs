//! From single attempts to a result: equal attempts in a row count, and a threshold decides. Pure.

use crate::results::{ProbeKind, ProbeResult};

/// Counts the attempts of one probe.
#[derive(Clone, Debug)]
pub struct Tracker {
    kind: ProbeKind,
    success_threshold: u32,
    failure_threshold: u32,
    last: Option<bool>,
    run: u32,
    on_hold: bool,
}

impl Tracker {
    /// A tracker that has seen nothing.
    #[must_use]
    pub fn new(kind: ProbeKind, success_threshold: u32, failure_threshold: u32) -> Self {
        Self {
            kind,
            success_threshold,
            failure_threshold,
            last: None,
            run: 0,
            on_hold: false,
        }
    }

    /// Takes note of an attempt that counts; says what the probe has come to if it has come to anything.
    ///
    /// A decided liveness failure or startup holds the probe until [`Tracker::release`].
    pub fn observe(&mut self, success: bool) -> Option<ProbeResult> {
        if self.last == Some(success) {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = Some(success);
            self.run = 1;
        }
        let threshold = if success {
            self.success_threshold
        } else {
            self.failure_threshold
        };
        if self.run < threshold {
            return None;
        }
        if self.kind == ProbeKind::Startup || (self.kind == ProbeKind::Liveness && !success) {
            self.on_hold = true;
            self.run = 0;
        }
        Some(if success {
            ProbeResult::Success
        } else {
            ProbeResult::Failure
        })
    }

    /// Whether the probe waits for a new container.
    #[must_use]
    pub fn is_on_hold(&self) -> bool {
        self.on_hold
    }

    /// How many equal attempts there have been in a row.
    #[must_use]
    pub fn run(&self) -> u32 {
        self.run
    }

    /// There is a new container. The row of equal attempts goes on: the kubelet does not forget it here.
    pub fn release(&mut self) {
        self.on_hold = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: ProbeKind, thresholds: (u32, u32), attempts: &str, expected: &str) {
        let mut tracker = Tracker::new(kind, thresholds.0, thresholds.1);
        let seen: String = attempts
            .chars()
            .map(|attempt| match tracker.observe(attempt == '+') {
                None => '.',
                Some(ProbeResult::Success) => '+',
                Some(_) => '-',
            })
            .collect();
        assert_eq!(seen, expected, "{attempts}");
    }

    #[test]
    fn as_many_equal_attempts_in_a_row_as_the_threshold_decide() {
        check(ProbeKind::Readiness, (1, 1), "+-+", "+-+");
        check(ProbeKind::Readiness, (1, 3), "--+---", "..+..-");
        check(ProbeKind::Readiness, (3, 1), "++-+++", "..-..+");
        check(ProbeKind::Liveness, (1, 2), "-+--", ".+.-");
    }

    #[test]
    fn a_decided_startup_and_a_liveness_failure_hold_and_begin_to_count_anew() {
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
                (tracker.is_on_hold(), tracker.run()),
                (held, u32::from(!held)),
                "{kind:?} {success}"
            );
            tracker.release();
            assert!(!tracker.is_on_hold());
        }
    }

    #[test]
    fn a_row_outlives_its_container() {
        let mut tracker = Tracker::new(ProbeKind::Liveness, 1, 3);
        assert_eq!(
            [tracker.observe(false), tracker.observe(false)],
            [None, None]
        );
        tracker.release();
        assert_eq!(tracker.observe(false), Some(ProbeResult::Failure));
    }
}
