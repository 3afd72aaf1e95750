//! What a container says of its end: what it wrote to a file that is made for it, or else the last of what it printed.

use super::LogLine;

/// The most that is read of the file (`MaxContainerTerminationMessageLength`).
pub(super) const MOST_OF_FILE: usize = 4096;
/// The most that is taken of the log: bytes, lines (`MaxContainerTerminationMessageLogLength`, `…LogLines`).
const MOST_OF_LOG: (usize, usize) = (2048, 80);

/// Where a container may say why it ends.
#[derive(Clone, Debug, Default)]
pub struct Termination {
    /// `terminationMessagePath` of the manifest: an absolute path in the container; empty where it has no such file.
    pub path: String,
    /// Whether the end of its log stands for an empty file when it fails (`FallbackToLogsOnError`).
    pub or_log: bool,
}

impl Termination {
    /// What is told of a container that ended with `code`; `log` is asked for only where it is needed.
    pub(super) fn message(
        &self,
        code: i32,
        written: &[u8],
        log: impl FnOnce() -> Vec<LogLine>,
    ) -> Option<String> {
        let written = &written[..written.len().min(MOST_OF_FILE)];
        let message = if written.is_empty() && code != 0 && self.or_log {
            end_of(&log())
        } else {
            String::from_utf8_lossy(written).into_owned()
        };
        (!message.is_empty()).then_some(message)
    }
}

fn end_of(log: &[LogLine]) -> String {
    let (bytes, lines) = MOST_OF_LOG;
    let last = &log[log.len().saturating_sub(lines)..];
    let text: Vec<u8> = last
        .iter()
        .flat_map(|line| line.text.iter().copied())
        .collect();
    String::from_utf8_lossy(&text[text.len().saturating_sub(bytes)..]).into_owned()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const BOTH: bool = true;
    const FILE: bool = false;

    #[track_caller]
    fn check(or_log: bool, code: i32, written: &str, log: &[&str], expected: Option<&str>) {
        let termination = Termination {
            path: "/dev/termination-log".to_owned(),
            or_log,
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
    fn the_log_stands_for_an_empty_file_of_what_failed_where_that_is_asked_for() {
        check(FILE, 1, "why", &["log\n"], Some("why"));
        check(FILE, 1, "", &["log\n"], None);
        check(BOTH, 1, "why", &["log\n"], Some("why"));
        check(BOTH, 1, "", &["one\n", "two\n"], Some("one\ntwo\n"));
        check(BOTH, 1, "", &[], None);
        check(BOTH, 0, "", &["log\n"], None);
    }

    #[test]
    fn a_message_is_bounded() {
        let long = "x".repeat(5000);
        check(FILE, 0, &long, &[], Some(&long[..4096]));
        let lines = ["0123456789012345678901234567890123456789\n"; 100];
        check(
            BOTH,
            1,
            "",
            &lines,
            Some(&lines.concat()[100 * 41 - 2048..]),
        );
        let short = ["y\n"; 100];
        check(BOTH, 1, "", &short, Some(&"y\n".repeat(80)));
    }
}
