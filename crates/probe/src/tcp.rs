//! The TCP probe: connects and closes the connection immediately, without sending or reading.

use std::time::Duration;

use tokio::time::Instant;

use crate::dial;
use crate::outcome::{Outcome, Verdict};

/// Connects to `host` and `port` within `timeout`. Each dial error is a failure of the target.
pub async fn probe(host: &str, port: i32, timeout: Duration) -> Outcome {
    let start = Instant::now();
    let (verdict, reason, output) = match dial::dial(host, port, start + timeout).await {
        Ok(_closed_on_drop) => (Verdict::Success, None, String::new()),
        Err(error) => (Verdict::Failure, Some(error.reason), error.text),
    };
    Outcome {
        verdict,
        reason,
        output,
        took: start.elapsed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Reason;

    #[tokio::test]
    async fn listener_that_never_accepts_is_healthy() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let outcome = probe("127.0.0.1", port.into(), Duration::from_secs(30)).await;
        assert_eq!(outcome.verdict, Verdict::Success);
        assert_eq!(outcome.reason, None);
        assert_eq!(outcome.output, "");
    }

    #[tokio::test]
    async fn invalid_port_is_a_failure_with_the_dial_error() {
        let outcome = probe("127.0.0.1", -1, Duration::from_secs(1)).await;
        assert_eq!(outcome.verdict, Verdict::Failure);
        assert_eq!(outcome.reason, Some(Reason::Other));
        assert_eq!(outcome.output, "dial tcp: address -1: invalid port");
    }
}
