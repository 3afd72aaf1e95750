//! CrashLoopBackOff: the delay before a terminated container is restarted. Pure arithmetic; the caller stores the entry.

use std::time::Duration;

use jiff::Timestamp;

/// Initial and maximum delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffLimits {
    /// Delay before the second restart; the first is immediate.
    pub initial: Duration,
    /// Limit of the doubling.
    pub max: Duration,
}

/// An entry is dropped this long after the last start.
pub(crate) const ENTRY_EXPIRY: Duration = Duration::from_secs(600);

impl Default for BackoffLimits {
    fn default() -> Self {
        Self::configured(None, false)
    }
}

impl BackoffLimits {
    /// Returns the limits of a kubelet whose `crashLoopBackOff.maxContainerRestartPeriod` is `max`, and whose alpha feature
    /// gate `ReduceDefaultCrashLoopBackOffDecay` is `reduced`.
    #[must_use]
    pub fn configured(max: Option<Duration>, reduced: bool) -> Self {
        let (initial, default_max) = if reduced { (1, 60) } else { (10, 300) };
        let max = max.unwrap_or(Duration::from_secs(default_max));
        Self {
            initial: Duration::from_secs(initial).min(max),
            max,
        }
    }
}

/// Back-off state of one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffEntry {
    /// Delay after the next exit.
    pub delay: Duration,
    /// Time of the last start.
    pub last_start: Timestamp,
}

/// Result of [`decide_start`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartDecision {
    /// Start now and store this entry.
    Start(Option<BackoffEntry>),
    /// The container is in back-off.
    Wait {
        /// End of the back-off.
        until: Timestamp,
        /// Delay since the exit, as in the message of `CrashLoopBackOff`.
        delay: Duration,
    },
}

/// Decides whether a container may start at `now`. `exited_at` is the exit of the newest terminated instance, if any.
#[must_use]
pub fn decide_start(
    limits: BackoffLimits,
    entry: Option<BackoffEntry>,
    exited_at: Option<Timestamp>,
    now: Timestamp,
) -> StartDecision {
    let Some(exited_at) = exited_at else {
        return StartDecision::Start(entry);
    };
    let entry = entry.filter(|entry| since(entry.last_start, exited_at) <= ENTRY_EXPIRY);
    if let Some(entry) = entry
        && since(exited_at, now) < entry.delay
    {
        let until = exited_at
            .saturating_add(entry.delay)
            .unwrap_or(Timestamp::MAX);
        return StartDecision::Wait {
            until,
            delay: entry.delay,
        };
    }
    let delay = entry.map_or(limits.initial, |entry| (entry.delay * 2).min(limits.max));
    StartDecision::Start(Some(BackoffEntry {
        delay,
        last_start: now,
    }))
}

/// Returns `true` if the kubelet's periodic clean-up would delete `entry`.
#[must_use]
pub fn is_expired(entry: BackoffEntry, now: Timestamp) -> bool {
    since(entry.last_start, now) > ENTRY_EXPIRY
}

fn since(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests;
