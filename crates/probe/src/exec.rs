//! The exec probe on this host: runs a command and kills its process group at the deadline.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::Instant;

pub mod reaper;

use self::reaper::TrackedChildren;
use crate::go_format;
use crate::outcome::{MAX_OUTPUT, Outcome, ProbeError, Reason, Verdict};

/// Runs `command`, without a shell, within `timeout`.
///
/// The outcome is a failure if the command still runs at the deadline, or a child that it left behind still holds its output
/// open; the process group is then killed. Dropping the future kills the group too.
///
/// # Errors
/// If the command cannot be started: the target's state is then unknown.
pub async fn probe(command: &[String], timeout: Duration) -> Result<Outcome, ProbeError> {
    run(command, &Input::default(), timeout).await
}

/// Environment and standard input of a command, in addition to what it inherits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input<'a> {
    /// Additional environment variables.
    pub env: &'a [(String, String)],
    /// Standard input; empty if `None`.
    pub stdin: Option<&'a str>,
}

/// Runs `command` like [`probe`], with an environment and a standard input.
///
/// # Errors
/// Fails if the command cannot be started.
pub async fn run(
    command: &[String],
    input: &Input<'_>,
    timeout: Duration,
) -> Result<Outcome, ProbeError> {
    let start = Instant::now();
    let mut group = ProcessGroup::start(command, input)?;
    group.write_stdin(input.stdin);
    let finished = tokio::time::timeout_at(start + timeout, group.finish()).await;
    let (verdict, reason, output) = match finished {
        Ok(Ok((status, output))) => classify(status, output),
        Ok(Err(error)) => return Err(ProbeError::unknown(error.to_string())),
        Err(_) => {
            group.kill().await;
            let output = timeout_message(command, timeout);
            (Verdict::Failure, Some(Reason::ExecTimeout), output)
        }
    };
    Ok(Outcome {
        verdict,
        reason,
        output,
        took: start.elapsed(),
    })
}

/// Returns the kubelet's output for a command that exceeded `timeout`.
#[must_use]
pub fn timeout_message(command: &[String], timeout: Duration) -> String {
    format!(
        "command timed out: {:?} timed out after {}",
        command.join(" "),
        go_format::duration(timeout)
    )
}

fn classify(status: ExitStatus, output: String) -> (Verdict, Option<Reason>, String) {
    use std::os::unix::process::ExitStatusExt as _;
    let reason = match (status.code(), status.signal()) {
        (Some(0), _) => return (Verdict::Success, None, output),
        (Some(code), _) => Reason::ExitCode(code),
        (None, Some(signal)) => Reason::Signal(signal),
        (None, None) => Reason::Other,
    };
    (Verdict::Failure, Some(reason), output)
}

/// A process group, killed on drop unless its leader has been reaped.
struct ProcessGroup {
    leader: Child,
    id: Option<Pid>,
}

impl ProcessGroup {
    fn start(command: &[String], input: &Input<'_>) -> Result<Self, ProbeError> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(ProbeError::unknown("no command to run"));
        };
        let mut children = TrackedChildren::lock();
        let mut command = Command::new(program);
        let marker = children.mark(&mut command);
        let stdin = match input.stdin {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        };
        let leader = command
            .args(arguments)
            .envs(input.env.iter().map(|(name, value)| (name, value)))
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let cause = go_format::os_error(&error);
                ProbeError::unknown(format!("exec: {program:?}: {cause}"))
            })?;
        let id = leader.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            children.track(id, marker);
        }
        Ok(Self {
            leader,
            id: id.map(Pid::from_raw),
        })
    }

    /// Writes the standard input in the background: a command that does not read it must not block the others.
    fn write_stdin(&mut self, text: Option<&str>) {
        if let Some((mut stdin, text)) = self.leader.stdin.take().zip(text) {
            let text = text.to_owned();
            tokio::spawn(async move {
                // The command may exit without reading it; the write then fails.
                let _ = stdin.write_all(text.as_bytes()).await;
            });
        }
    }

    /// Reads standard output and standard error to their ends, then reaps the leader.
    ///
    /// The leader is reaped last: until then its PID, which is the group's ID, cannot be reused.
    async fn finish(&mut self) -> std::io::Result<(ExitStatus, String)> {
        let (stdout, stderr) = (self.leader.stdout.take(), self.leader.stderr.take());
        let (mut output, rest) = tokio::try_join!(read_capped(stdout), read_capped(stderr))?;
        let status = self.leader.wait().await?;
        self.untrack();
        output.extend(rest);
        output.truncate(MAX_OUTPUT);
        Ok((status, String::from_utf8_lossy(&output).into_owned()))
    }

    async fn kill(&mut self) {
        self.send_sigkill();
        if let Err(error) = self.leader.wait().await {
            tracing::debug!(%error, "cannot reap the command of an exec probe");
        }
        self.untrack();
    }

    fn untrack(&mut self) {
        if let Some(id) = self.id.take() {
            TrackedChildren::lock().untrack(id.as_raw());
        }
    }

    fn send_sigkill(&self) {
        if let Some(id) = self.id
            && let Err(error) = killpg(id, Signal::SIGKILL)
        {
            tracing::debug!(%error, "cannot kill the process group of an exec probe");
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.send_sigkill();
        if let Some(id) = self.id {
            TrackedChildren::lock().detach(id.as_raw());
        }
    }
}

/// Returns the first [`MAX_OUTPUT`] bytes of a stream. The rest is read and discarded, so that the writer does not block.
async fn read_capped(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut output = Vec::new();
    if let Some(stream) = stream {
        let mut capped = stream.take(MAX_OUTPUT as u64);
        capped.read_to_end(&mut output).await?;
        tokio::io::copy(&mut capped.into_inner(), &mut tokio::io::sink()).await?;
    }
    Ok(output)
}

#[cfg(test)]
mod tests;
