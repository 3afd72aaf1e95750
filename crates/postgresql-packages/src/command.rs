//! Running programs to completion.

use std::process::{Command, Output, Stdio};

use crate::Error;

/// Returns a command for `program` whose messages are not translated.
pub(crate) fn untranslated(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs `command` and returns its standard output.
///
/// # Errors
/// If it cannot be started or exits with another code than 0; the reason is its first error message.
pub(crate) fn stdout(command: &mut Command) -> Result<String, Error> {
    let output = run(command)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let reason = first_error(&output).unwrap_or_else(|| output.status.to_string());
    Err(Error::Program {
        program: name(command),
        reason,
    })
}

/// Runs `command`; standard output and standard error are captured unless they are set.
pub(crate) fn run(command: &mut Command) -> Result<Output, Error> {
    command.output().map_err(|error| Error::Program {
        program: name(command),
        reason: error.to_string(),
    })
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// Returns the first message that apt marks as a failure, else the first line on standard error.
pub(crate) fn first_error(output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let failure = ["E: ", "W: Failed to fetch "];
    let marked = lines().find(|line| failure.iter().any(|prefix| line.starts_with(prefix)));
    let line = marked.or_else(|| lines().next())?;
    let line = line.strip_prefix("E: ").unwrap_or(line);
    let line = line.strip_prefix("W: ").unwrap_or(line);
    Some(line.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn first_error_prefers_failures_over_notes() {
        for (stderr, expected) in [
            (
                "W: note\nE: Unable to  locate package x\n",
                Some("Unable to locate package x"),
            ),
            (
                "W: Failed to fetch http://d/InRelease  Unable to connect to d:80:\nE: later\n",
                Some("Failed to fetch http://d/InRelease Unable to connect to d:80:"),
            ),
            ("\n  postgres: not found\n", Some("postgres: not found")),
            ("", None),
        ] {
            let output = Output {
                status: ExitStatus::from_raw(0),
                stdout: Vec::new(),
                stderr: stderr.into(),
            };
            assert_eq!(first_error(&output).as_deref(), expected, "{stderr:?}");
        }
    }
}
