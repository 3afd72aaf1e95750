//! When a change comes too early or too late to be chance.

use crate::recording::{Act, Entry, Recording};

/// Seconds of the cluster's between a cause and its sight, whatever the period: a kubelet looks at its containers once a
/// second, writes a status some time after it, and a watch and its controllers take their turn.
const SLACK: f64 = 3.0;

/// Seconds of the machine's: a program takes so long to start, however fast the cluster's clock runs.
const START: f64 = 2.0;

/// The times of one subject in two recordings.
pub(super) struct Times<'a> {
    first: &'a [Act],
    second: &'a [Act],
    tolerance: f64,
}

impl<'a> Times<'a> {
    /// For a subject of both.
    pub(super) fn of(first: &'a Recording, second: &'a Recording, subject: &str) -> Self {
        let name = subject.split(' ').nth(1).unwrap_or_default();
        let app = name.split(['.', '#']).next().unwrap_or_default();
        let period = |recording: &Recording| recording.periods.get(app).copied().unwrap_or(0);
        Self {
            first: &first.acts,
            second: &second.acts,
            // A probe's first attempt comes at a random point of its period, so all that follows from probes does.
            tolerance: f64::from(period(first).max(period(second)))
                + SLACK
                + START * first.pace.max(second.pace),
        }
    }

    /// The seconds from the cause to the change on either side, if they are too far apart for chance.
    ///
    /// The cause is what the exercise last did before the change, or the change before it where that is later: an
    /// exercise's waits and a subject's earlier delays are no difference of this one.
    pub(super) fn apart(
        &self,
        (first, second): (&Entry, &Entry),
        before: Option<(&Entry, &Entry)>,
    ) -> Option<(f64, f64)> {
        let acts =
            |acts: &[Act], entry: &Entry| acts.iter().filter(|act| act.at <= entry.at).count();
        let acted = acts(self.first, first).min(acts(self.second, second));
        let act = |acts: &[Act]| {
            acted
                .checked_sub(1)
                .and_then(|i| acts.get(i))
                .map(|act| act.at)
        };
        let since_act = (
            act(self.first).unwrap_or(0.0),
            act(self.second).unwrap_or(0.0),
        );
        let cause = match before {
            Some((a, b)) if a.at >= since_act.0 && b.at >= since_act.1 => (a.at, b.at),
            _ => since_act,
        };
        let took = (first.at - cause.0, second.at - cause.1);
        ((took.0 - took.1).abs() > self.tolerance).then_some(took)
    }
}
