//! Verdicts on assertions and exercises.

use std::fmt;

use serde::Serialize;

use crate::exit::Exit;

/// Verdict on one assertion or on a whole exercise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// The assertion is true, or every assertion of the exercise is.
    Pass,
    /// Something else was observed, or a step's condition was not met in time.
    Fail,
    /// A requirement of the exercise is missing.
    Skipped,
    /// The assertion was not reached, or nothing was observed that it could be judged by.
    NotJudged,
    /// The exercise could not run to its end.
    Error,
    /// The exercise was interrupted.
    Interrupted,
}

impl Verdict {
    /// Exit code of a command with this verdict.
    pub(crate) const fn exit(self) -> Exit {
        match self {
            Self::Pass | Self::Skipped => Exit::Passed,
            Self::Fail => Exit::Failed,
            Self::NotJudged | Self::Error => Exit::Error,
            Self::Interrupted => Exit::Interrupted,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Skipped => "SKIPPED",
            Self::NotJudged => "NOT JUDGED",
            Self::Error => "ERROR",
            Self::Interrupted => "INTERRUPTED",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
