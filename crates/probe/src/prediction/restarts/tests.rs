//! Predicted restarts compared with a kubelet that checks waiting containers at random intervals.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// State before a restart decision.
#[derive(Clone, Copy, Debug)]
struct Case {
    entry: Option<BackoffEntry>,
    exited_at: Duration,
    known_exit: Option<Duration>,
}

impl Case {
    fn random(random: &mut StdRng) -> Self {
        let delays = [10, 20, 40, 80, 160, 300];
        let last_start = secs(1000);
        let entry = BackoffEntry {
            delay: secs(delays[random.random_range(0..delays.len())]),
            last_start: timestamp(last_start),
        };
        let exited_at = last_start + Duration::from_millis(random.random_range(0..700_000));
        let previous_exit = last_start - Duration::from_millis(random.random_range(0..300_000));
        let exits = [Some(exited_at), Some(previous_exit), None];
        Self {
            entry: random.random_bool(0.9).then_some(entry),
            exited_at,
            known_exit: exits[random.random_range(0..exits.len())],
        }
    }

    /// Returns the time of the restart. `factor` extends the delay before each check.
    fn restart(self, mut factor: impl FnMut() -> f64) -> Duration {
        let (mut now, mut known_exit) = (self.exited_at, self.known_exit);
        loop {
            let entry = self
                .entry
                .filter(|entry| !is_expired(*entry, timestamp(now)));
            let exit = known_exit.map(timestamp);
            let until = match decide_start(BackoffLimits::default(), entry, exit, timestamp(now)) {
                StartDecision::Start(_) => return now,
                StartDecision::Wait { until, .. } => since_start(until),
            };
            if known_exit == Some(self.exited_at) {
                now += (until - now).min(MAX_RECHECK_DELAY).mul_f64(factor());
            } else {
                // The kubelet observes the exit and syncs the pod again.
                known_exit = Some(self.exited_at);
            }
        }
    }

    fn predicted(self) -> TimeRange {
        let limits = BackoffLimits::default();
        let (restart, _) = predict_restart(limits, self.entry, self.exited_at, self.known_exit);
        restart.restarted_at
    }
}

#[test]
fn random_checks_restart_in_the_predicted_range() {
    let mut random = StdRng::seed_from_u64(0);
    for _ in 0..500 {
        let case = Case::random(&mut random);
        let predicted = case.predicted();
        for _ in 0..20 {
            let observed = case.restart(|| random.random_range(1.0..=MAX_RECHECK_FACTOR));
            assert!(
                predicted.contains(observed),
                "{observed:?} {predicted:?} {case:?}"
            );
        }
        let observed = case.restart(|| MAX_RECHECK_FACTOR);
        assert!(
            predicted.contains(observed),
            "{observed:?} {predicted:?} {case:?}"
        );
        let is_back_off_over = observed < secs(1000) + ENTRY_EXPIRY;
        if is_back_off_over {
            assert_eq!(case.restart(|| 1.0), predicted.earliest, "{case:?}");
        }
    }
}

/// Returns the latest start over all sequences of checks between 60 and 90 seconds, in steps of 5 seconds.
fn latest_of_all_checks(remaining: u64) -> u64 {
    if remaining <= 60 {
        return remaining * 3 / 2;
    }
    let checks = (60..=90).step_by(5);
    let starts = checks.map(|check| {
        if check >= remaining {
            check
        } else {
            check + latest_of_all_checks(remaining - check)
        }
    });
    starts.max().expect("seven checks")
}

#[test]
fn latest_start_is_reached_by_a_sequence_of_checks() {
    for remaining in (10..=300).step_by(10) {
        assert_eq!(
            latest_start(secs(remaining)),
            secs(latest_of_all_checks(remaining)),
            "{remaining}"
        );
    }
}
