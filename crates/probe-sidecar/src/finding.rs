//! What one attempt found, whoever made it.

use std::time::Duration;

use probe::{Outcome, Reason, Verdict};

/// One finished attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it says of the target.
    pub verdict: Verdict,
    /// Why it failed.
    pub reason: Option<Why>,
    /// What the target, or whoever asked it, said.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

/// Why an attempt failed, in one word and perhaps a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Why {
    /// The word, of a fixed set: it becomes a label.
    pub word: &'static str,
    /// The status, the exit code or the signal.
    pub code: Option<i32>,
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Self {
        let code = match reason {
            Reason::Status(status) => Some(i32::from(status)),
            Reason::ExitCode(code) | Reason::Signal(code) => Some(code),
            _ => None,
        };
        Self {
            word: reason.as_str(),
            code,
        }
    }
}

impl From<Outcome> for Finding {
    fn from(outcome: Outcome) -> Self {
        Self {
            verdict: outcome.verdict,
            reason: outcome.reason.map(Why::from),
            output: outcome.output,
            took: outcome.took,
        }
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word)?;
        match self.code {
            Some(code) => write!(f, " {code}"),
            None => Ok(()),
        }
    }
}
