//! Restarts of a container that terminates repeatedly, with `CrashLoopBackOff`.

use std::time::Duration;

use jiff::Timestamp;

use super::TimeRange;
use crate::backoff::{
    BackoffEntry, BackoffLimits, ENTRY_EXPIRY, StartDecision, decide_start, is_expired,
};

/// Maximum delay after which the kubelet checks a waiting container again, before its random extension.
const MAX_RECHECK_DELAY: Duration = Duration::from_secs(60);

/// Maximum factor by which the kubelet extends the delay before a check.
const MAX_RECHECK_FACTOR: f64 = 1.5;

/// Cause of each termination of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartCause {
    /// The process exits by itself.
    Exit {
        /// Time from each start to the exit.
        after: Duration,
    },
    /// A probe fails. The kubelet decides about the restart in the pod sync that kills the container, when only the previous
    /// exit is known to it, so that the back-off starts later than after exits.
    FailedProbe {
        /// Time from each start to the exit: until the failure of the probe, and the termination.
        after: Duration,
    },
}

impl RestartCause {
    fn lifetime(self) -> Duration {
        match self {
            Self::Exit { after } | Self::FailedProbe { after } => after,
        }
    }
}

/// A predicted termination and restart. Times are since the first start, provided that each earlier restart was as early as
/// possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PredictedRestart {
    /// Time of the exit.
    pub exited_at: Duration,
    /// Delay in the message of `CrashLoopBackOff`, or `None` if the restart is immediate.
    pub backoff: Option<Duration>,
    /// Time of the restart. The kubelet checks a waiting container at random intervals, so it can be later than the delay.
    pub restarted_at: TimeRange,
}

/// Predicts the first `count` restarts of a container that terminates after the same time each.
#[must_use]
pub fn predict_restarts(
    limits: BackoffLimits,
    cause: RestartCause,
    count: usize,
) -> Vec<PredictedRestart> {
    let mut restarts = Vec::with_capacity(count);
    let (mut entry, mut previous_exit, mut started_at) = (None, None, Duration::ZERO);
    for _ in 0..count {
        let exited_at = started_at.saturating_add(cause.lifetime());
        let known_exit = match cause {
            RestartCause::Exit { .. } => Some(exited_at),
            RestartCause::FailedProbe { .. } => previous_exit,
        };
        let (restart, next_entry) = predict_restart(limits, entry, exited_at, known_exit);
        started_at = restart.restarted_at.earliest;
        (entry, previous_exit) = (next_entry, Some(exited_at));
        restarts.push(restart);
    }
    restarts
}

fn predict_restart(
    limits: BackoffLimits,
    entry: Option<BackoffEntry>,
    exited_at: Duration,
    known_exit: Option<Duration>,
) -> (PredictedRestart, Option<BackoffEntry>) {
    let now = timestamp(exited_at);
    let entry = entry.filter(|entry| !is_expired(*entry, now));
    let delay = match decide_start(limits, entry, known_exit.map(timestamp), now) {
        StartDecision::Start(entry) => {
            let restarted_at = TimeRange::new(exited_at, exited_at);
            return (restart(exited_at, None, restarted_at), entry);
        }
        StartDecision::Wait { delay, .. } => delay,
    };
    // Later pod syncs know this exit.
    let backoff_end = exited_at.saturating_add(delay);
    let entry_end = entry.map_or(backoff_end, |entry| {
        since_start(entry.last_start).saturating_add(ENTRY_EXPIRY)
    });
    let is_entry_deleted = entry_end < backoff_end;
    let earliest = backoff_end.min(entry_end);
    let latest = if is_entry_deleted {
        // The last check before the deletion, at the time from which the next one is latest.
        let check = backoff_end
            .saturating_sub(MAX_RECHECK_DELAY)
            .clamp(exited_at, earliest);
        check.saturating_add(latest_recheck(backoff_end - check))
    } else {
        exited_at.saturating_add(latest_start(delay))
    };
    let entry = entry.filter(|_| !is_entry_deleted);
    let at = timestamp(earliest);
    let next_entry = match decide_start(limits, entry, Some(now), at) {
        StartDecision::Start(entry) => entry,
        StartDecision::Wait { .. } => entry,
    };
    let restarted_at = TimeRange::new(earliest, latest);
    (restart(exited_at, Some(delay), restarted_at), next_entry)
}

fn restart(
    exited_at: Duration,
    backoff: Option<Duration>,
    restarted_at: TimeRange,
) -> PredictedRestart {
    PredictedRestart {
        exited_at,
        backoff,
        restarted_at,
    }
}

/// Returns the latest time of the next check if the back-off ends after `remaining`.
fn latest_recheck(remaining: Duration) -> Duration {
    remaining.min(MAX_RECHECK_DELAY).mul_f64(MAX_RECHECK_FACTOR)
}

/// Returns the latest start of a container whose back-off ends after `remaining`: the latest check at or after that time, where
/// each check before it is between one and one and a half times the delay later.
fn latest_start(remaining: Duration) -> Duration {
    if remaining <= MAX_RECHECK_DELAY {
        return latest_recheck(remaining);
    }
    let (shortest, longest) = (MAX_RECHECK_DELAY, latest_recheck(remaining));
    // The check that leaves exactly the maximum delay is followed by the latest one.
    let best = remaining
        .saturating_sub(MAX_RECHECK_DELAY)
        .clamp(shortest, longest);
    let after = |check: Duration| {
        if check >= remaining {
            check
        } else {
            check + latest_start(remaining - check)
        }
    };
    [shortest, best, longest]
        .map(after)
        .into_iter()
        .max()
        .unwrap_or(longest)
}

fn timestamp(since_start: Duration) -> Timestamp {
    Timestamp::UNIX_EPOCH
        .saturating_add(since_start)
        .unwrap_or(Timestamp::MAX)
}

fn since_start(timestamp: Timestamp) -> Duration {
    let duration = timestamp.duration_since(Timestamp::UNIX_EPOCH);
    Duration::try_from(duration).unwrap_or_default()
}

#[cfg(test)]
mod tests;
