//! Asking again and again until a server is ready.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::report::Report;
use crate::state::State;

/// The first pause between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest: a database that is back should not be kept waiting for.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Calls `attempt` with the time that is left, with longer and longer pauses, until it finds the server accepting, until
/// it says that trying makes no sense, or until `limit` has passed. `told` hears of every attempt that failed and is
/// followed by another.
pub async fn wait<F: Future<Output = Report>>(
    limit: Duration,
    mut attempt: impl FnMut(Duration) -> F,
    mut told: impl FnMut(&Report, Duration),
) -> Report {
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    loop {
        let report = attempt(deadline - Instant::now()).await;
        let again = Instant::now() + pause;
        if matches!(report.state, State::Accepting | State::NoAttempt) || again >= deadline {
            return report;
        }
        told(&report, deadline - Instant::now());
        sleep_until(again).await;
        pause = LONGEST_PAUSE.min(pause.mul_f64(1.5));
    }
}

/// A duration as people write it: `500ms`, `10s`, `2m`, or seconds without a unit.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    match text.trim().parse::<u32>() {
        Ok(seconds) => Some(Duration::from_secs(seconds.into())),
        Err(_) => humantime::parse_duration(text).ok(),
    }
}

#[cfg(test)]
mod tests;
