//! Checks of what exercises need, and their findings.

pub(crate) mod cluster;
pub(crate) mod kubectl;
pub(crate) mod permissions;
pub(crate) mod ports;
pub(crate) mod postgresql;

use std::io::{self, Write};

use serde::Serialize;

use crate::columns;
use crate::exit::Exit;

/// Result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    /// The check passed.
    Ok,
    /// Something optional is missing; the text has the remedy.
    Warning,
    /// A requirement is missing: exercises that need it are skipped.
    Skipped,
    /// The check failed; the text has the remedy.
    Failed,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Skipped => "skipped",
            Self::Failed => "FAILED",
        }
    }
}

/// One line of `selfheal doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Name of the check.
    pub(crate) check: String,
    /// Result of the check.
    pub(crate) status: Status,
    /// Description of the result, or the remedy.
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn new(check: &str, status: Status, text: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            status,
            text: text.into(),
        }
    }
}

/// Prints a table of findings.
pub(crate) fn print(out: &mut dyn Write, findings: &[Finding]) -> io::Result<()> {
    let rows = findings.iter().map(|finding| {
        let row = [finding.status.as_str(), &finding.check, &finding.text];
        row.map(str::to_owned).to_vec()
    });
    for line in columns::align(&rows.collect::<Vec<_>>(), columns::COMPACT) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Exit code of `doctor`: `Failed` if a check failed.
pub(crate) fn exit(findings: &[Finding]) -> Exit {
    let is_failed = |finding: &Finding| finding.status == Status::Failed;
    if findings.iter().any(is_failed) {
        Exit::Failed
    } else {
        Exit::Passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_a_table_and_only_a_failed_one_fails() {
        let mut findings = vec![
            Finding::new("kubectl", Status::Warning, "not found\ninstall it"),
            Finding::new("PostgreSQL", Status::Ok, "15"),
        ];
        let mut out = Vec::new();
        print(&mut out, &findings).unwrap();
        let expected = "warning  kubectl     not found\n                     install it\nok       PostgreSQL  15\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(exit(&findings), Exit::Passed);
        findings.push(Finding::new("x", Status::Failed, ""));
        assert_eq!(exit(&findings), Exit::Failed);
    }
}
