//! Tolerance for the times of changes.

use crate::recording::{Action, RecordEntry, Recording};

/// Maximum delay between a cause and its observation on the cluster's clock, in addition to the probe period: a kubelet checks
/// its containers once a second and writes a status later, and the watch and the controllers add their delays.
const OBSERVATION_DELAY_SECONDS: f64 = 3.0;

/// Start-up time of a program in real time: it does not depend on the speed of the cluster's clock.
const PROGRAM_START_SECONDS: f64 = 2.0;

/// Times of one subject in two recordings.
pub(super) struct Timing<'a> {
    first_actions: &'a [Action],
    second_actions: &'a [Action],
    tolerance_seconds: f64,
}

impl<'a> Timing<'a> {
    pub(super) fn new(first: &'a Recording, second: &'a Recording, subject: &str) -> Self {
        let name = subject.split(' ').nth(1).unwrap_or_default();
        let app = name.split(['.', '#']).next().unwrap_or_default();
        let period = |recording: &Recording| recording.probe_periods.get(app).copied().unwrap_or(0);
        Self {
            first_actions: &first.actions,
            second_actions: &second.actions,
            // A probe's first attempt is at a random time of its period, and so are all its effects.
            tolerance_seconds: f64::from(period(first).max(period(second)))
                + OBSERVATION_DELAY_SECONDS
                + PROGRAM_START_SECONDS * first.speed.max(second.speed),
        }
    }

    /// Returns the seconds from the cause to the change on either side if they differ by more than the tolerance.
    ///
    /// The cause is the latest action before the change, or the previous change if that is later: waits of the exercise and
    /// earlier delays of the subject are not part of the difference.
    pub(super) fn difference(
        &self,
        (first, second): (&RecordEntry, &RecordEntry),
        previous: Option<(&RecordEntry, &RecordEntry)>,
    ) -> Option<(f64, f64)> {
        let count_before = |actions: &[Action], entry: &RecordEntry| {
            actions
                .iter()
                .filter(|action| action.at <= entry.at)
                .count()
        };
        // An action that only one side observed before the change is not the cause.
        let actions_before =
            count_before(self.first_actions, first).min(count_before(self.second_actions, second));
        let time_of_last = |actions: &[Action]| {
            let last = actions_before.checked_sub(1).and_then(|i| actions.get(i));
            last.map_or(0.0, |action| action.at)
        };
        let action = (
            time_of_last(self.first_actions),
            time_of_last(self.second_actions),
        );
        let cause = match previous {
            Some((first, second)) if first.at >= action.0 && second.at >= action.1 => {
                (first.at, second.at)
            }
            _ => action,
        };
        let delays = (first.at - cause.0, second.at - cause.1);
        ((delays.0 - delays.1).abs() > self.tolerance_seconds).then_some(delays)
    }
}
