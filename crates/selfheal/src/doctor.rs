//! Checks of what exercises need, and their findings.

pub(crate) mod cluster;
pub(crate) mod kubectl;
pub(crate) mod owner;
pub(crate) mod permissions;
pub(crate) mod postgresql;

use std::io::{self, Write};

use serde::Serialize;

use crate::exit::Exit;

/// Result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    /// The check passed.
    Ok,
    /// Something optional is missing; the text says what to do.
    Warning,
    /// A requirement is missing: exercises that need it are skipped.
    Skipped,
    /// The check failed; the text says what to do.
    Failed,
}

impl Status {
    const fn word(self) -> &'static str {
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
    /// Result in words, or the remedy.
    pub(crate) text: String,
}

impl Finding {
    /// A finding.
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
    let widths = findings.iter().map(|finding| finding.check.chars().count());
    let width = widths.max().unwrap_or(0);
    let status_width = Status::Warning.word().len();
    // Further lines of a text are below its first one.
    let indent = " ".repeat(status_width + width + 4);
    for finding in findings {
        let text = finding.text.replace('\n', &format!("\n{indent}"));
        let status = finding.status.word();
        writeln!(
            out,
            "{status:<status_width$}  {:<width$}  {text}",
            finding.check
        )?;
    }
    Ok(())
}

/// Exit code of `doctor`: a failed check fails.
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
