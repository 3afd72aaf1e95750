//! PostgreSQL checks by the crate `pg-ready`.

use std::path::Path;
use std::time::Duration;

use pg_ready::check::Check;
use pg_ready::password::Passwords;
use pg_ready::{PingStatus, Request};
use probe::{ProbeError, Verdict};
use tokio::time::Instant;

use super::BuildError;
use crate::outcome::{AttemptOutcome, FailureReason};

pub(super) fn request(conninfo: &str, checks: &[Check]) -> Result<Request, BuildError> {
    let request = Request::parse(conninfo);
    let request = request.map_err(|error| BuildError::new(error.to_string()))?;
    Ok(request.with_checks(checks.to_vec()))
}

/// Runs the checks. The password is read for each attempt, because a mounted secret may change.
pub(super) async fn probe(
    request: &Request,
    password_file: Option<&Path>,
    timeout: Duration,
) -> Result<AttemptOutcome, ProbeError> {
    let start = Instant::now();
    let mut request = request.clone().with_timeout(Some(timeout));
    if let Some(file) = password_file {
        let passwords = Passwords::from_secret_file(file);
        let passwords = passwords.map_err(|error| ProbeError::unknown(error.to_string()))?;
        request = request.with_passwords(passwords);
    }
    let report = pg_ready::check(&request).await;
    let reason = report.reason.unwrap_or_default();
    let verdict = match report.ping_status {
        PingStatus::Ok => Verdict::Success,
        PingStatus::Reject | PingStatus::NoResponse => Verdict::Failure,
        PingStatus::NoAttempt => return Err(ProbeError::unknown(reason)),
    };
    Ok(AttemptOutcome {
        verdict,
        reason: (verdict == Verdict::Failure).then(|| FailureReason {
            kind: report.state.as_str(),
            code: None,
        }),
        output: reason,
        took: start.elapsed(),
    })
}
