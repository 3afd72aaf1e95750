//! Termination messages: the content of the termination log file, or else the end of the container's log.

use super::LogLine;

/// Maximum number of bytes that are read of the file (`MaxContainerTerminationMessageLength`).
pub(super) const MAX_MESSAGE_LEN: usize = 4096;
/// Maximum number of bytes that are taken of the log (`MaxContainerTerminationMessageLogLength`).
const MAX_LOG_TAIL_LEN: usize = 2048;
/// Maximum number of lines that are taken of the log (`MaxContainerTerminationMessageLogLines`).
const MAX_LOG_TAIL_LINES: usize = 80;

/// Source of a container's termination message.
#[derive(Clone, Debug, Default)]
pub struct Termination {
    /// `terminationMessagePath` of the manifest: an absolute path in the container. No file is created if it is empty.
    pub path: String,
    /// `terminationMessagePolicy: FallbackToLogsOnError`: the end of the log is used if the container failed and the file
    /// is empty.
    pub fallback_to_logs: bool,
}

impl Termination {
    /// Returns the message of a container that exited with `code` after writing `written` to its file; `log` is called
    /// only if the log is used.
    pub(super) fn message(
        &self,
        code: i32,
        written: &[u8],
        log: impl FnOnce() -> Vec<LogLine>,
    ) -> Option<String> {
        let written = &written[..written.len().min(MAX_MESSAGE_LEN)];
        let message = if written.is_empty() && code != 0 && self.fallback_to_logs {
            log_tail(&log())
        } else {
            String::from_utf8_lossy(written).into_owned()
        };
        (!message.is_empty()).then_some(message)
    }
}

fn log_tail(log: &[LogLine]) -> String {
    let last = &log[log.len().saturating_sub(MAX_LOG_TAIL_LINES)..];
    let text: Vec<u8> = last
        .iter()
        .flat_map(|line| line.text.iter().copied())
        .collect();
    String::from_utf8_lossy(&text[text.len().saturating_sub(MAX_LOG_TAIL_LEN)..]).into_owned()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const FALLBACK_TO_LOGS: bool = true;
    const FILE_ONLY: bool = false;

    #[track_caller]
    fn check(
        fallback_to_logs: bool,
        code: i32,
        written: &str,
        log: &[&str],
        expected: Option<&str>,
    ) {
        let termination = Termination {
            path: "/dev/termination-log".to_owned(),
            fallback_to_logs,
        };
        let log = || {
            let line = |text: &&str| LogLine {
                at: Timestamp::UNIX_EPOCH,
                text: text.as_bytes().to_vec().into(),
            };
            log.iter().map(line).collect()
        };
        let message = termination.message(code, written.as_bytes(), log);
        assert_eq!(message.as_deref(), expected);
    }

    #[test]
    fn empty_file_of_a_failed_container_falls_back_to_the_log_if_the_policy_allows_it() {
        check(FILE_ONLY, 1, "why", &["log\n"], Some("why"));
        check(FILE_ONLY, 1, "", &["log\n"], None);
        check(FALLBACK_TO_LOGS, 1, "why", &["log\n"], Some("why"));
        let log = ["one\n", "two\n"];
        check(FALLBACK_TO_LOGS, 1, "", &log, Some("one\ntwo\n"));
        check(FALLBACK_TO_LOGS, 1, "", &[], None);
        check(FALLBACK_TO_LOGS, 0, "", &["log\n"], None);
    }

    #[test]
    fn long_message_is_truncated() {
        let long = "x".repeat(5000);
        check(FILE_ONLY, 0, &long, &[], Some(&long[..4096]));
        let lines = ["0123456789012345678901234567890123456789\n"; 100];
        let tail = &lines.concat()[100 * 41 - 2048..];
        check(FALLBACK_TO_LOGS, 1, "", &lines, Some(tail));
        let short = ["y\n"; 100];
        check(FALLBACK_TO_LOGS, 1, "", &short, Some(&"y\n".repeat(80)));
    }
}
