//! Outcome of an attempt of any handler.

use std::time::Duration;

use probe::{Outcome, Reason, Verdict};

/// Outcome of a finished attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptOutcome {
    /// Success or failure of the target.
    pub verdict: Verdict,
    /// Reason of a failure.
    pub reason: Option<FailureReason>,
    /// Output of the target, or the error of the client.
    pub output: String,
    /// Duration of the attempt.
    pub took: Duration,
}

/// Reason of a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureReason {
    /// Kind from a fixed set; a label of metrics.
    pub kind: &'static str,
    /// HTTP status, exit code or signal number.
    pub code: Option<i32>,
}

impl From<Reason> for FailureReason {
    fn from(reason: Reason) -> Self {
        let code = match reason {
            Reason::Status(status) => Some(i32::from(status)),
            Reason::ExitCode(code) | Reason::Signal(code) => Some(code),
            _ => None,
        };
        Self {
            kind: reason.as_str(),
            code,
        }
    }
}

impl From<Outcome> for AttemptOutcome {
    fn from(outcome: Outcome) -> Self {
        Self {
            verdict: outcome.verdict,
            reason: outcome.reason.map(FailureReason::from),
            output: outcome.output,
            took: outcome.took,
        }
    }
}

impl std::fmt::Display for FailureReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind)?;
        match self.code {
            Some(code) => write!(f, " {code}"),
            None => Ok(()),
        }
    }
}
