//! Retries with back-off until a server is ready.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::report::Report;
use crate::state::State;

const INITIAL_BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_FACTOR: f64 = 1.5;
/// Also the longest delay between the recovery of a server and its detection.
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// Calls `attempt` until the server accepts connections, until the attempt is invalid ([`State::NoAttempt`]), or until
/// `limit` has passed; returns the last report. The last attempt starts when `limit` has passed.
///
/// `attempt` gets the time that is left. `on_retry` is called with the report of each failed attempt that is retried
/// and with the time that is left.
pub async fn wait_until_ready<F: Future<Output = Report>>(
    limit: Duration,
    mut attempt: impl FnMut(Duration) -> F,
    mut on_retry: impl FnMut(&Report, Duration),
) -> Report {
    let deadline = Instant::now() + limit;
    let mut backoff = INITIAL_BACKOFF;
    loop {
        let report = attempt(deadline - Instant::now()).await;
        let now = Instant::now();
        if matches!(report.state, State::Accepting | State::NoAttempt) || now >= deadline {
            return report;
        }
        on_retry(&report, deadline - now);
        sleep_until(deadline.min(now + backoff)).await;
        backoff = MAX_BACKOFF.min(backoff.mul_f64(BACKOFF_FACTOR));
    }
}

/// Parses a duration with a unit (`500ms`, `10s`, `2m`), or in whole seconds without one.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    match text.trim().parse::<u32>() {
        Ok(seconds) => Some(Duration::from_secs(seconds.into())),
        Err(_) => humantime::parse_duration(text).ok(),
    }
}

#[cfg(test)]
mod tests;
