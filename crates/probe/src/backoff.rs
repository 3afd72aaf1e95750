//! How long a container that ended waits before it is started again. Pure arithmetic: whoever restarts keeps the entry.

use std::time::Duration;

use jiff::Timestamp;

/// The limits of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The first wait.
    pub initial: Duration,
    /// The longest.
    pub max: Duration,
}

/// An entry is forgotten this long after it was last used.
const EXPIRY: Duration = Duration::from_secs(600);

impl Default for Limits {
    fn default() -> Self {
        Self::configured(None, false)
    }
}

impl Limits {
    /// The limits that a kubelet has with `crashLoopBackOff.maxContainerRestartPeriod` set to `max`, and with the reduced
    /// decay (alpha) on or off.
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

/// What is remembered of a container's restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The wait after the next exit.
    pub delay: Duration,
    /// When it was last used.
    pub used: Timestamp,
}

/// Whether a container may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// At once; keep this entry, if there is one.
    Start(Option<Entry>),
    /// Not before this time, having been told to wait this long.
    Wait {
        /// When it may.
        until: Timestamp,
        /// The whole wait.
        delay: Duration,
    },
}

/// Decides about a start at `now`, when the newest instance known to have ended did so at `ended`.
#[must_use]
pub fn decide(
    limits: Limits,
    entry: Option<Entry>,
    ended: Option<Timestamp>,
    now: Timestamp,
) -> Decision {
    let Some(ended) = ended else {
        return Decision::Start(entry);
    };
    let entry = entry.filter(|entry| since(entry.used, ended) <= EXPIRY);
    if let Some(entry) = entry
        && since(ended, now) < entry.delay
    {
        let until = ended.saturating_add(entry.delay).unwrap_or(Timestamp::MAX);
        return Decision::Wait {
            until,
            delay: entry.delay,
        };
    }
    let delay = entry.map_or(limits.initial, |entry| (entry.delay * 2).min(limits.max));
    Decision::Start(Some(Entry { delay, used: now }))
}

/// Whether an entry has been out of use for so long that it is swept away.
#[must_use]
pub fn is_stale(entry: Entry, now: Timestamp) -> bool {
    since(entry.used, now) > EXPIRY
}

fn since(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests;
