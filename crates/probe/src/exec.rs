//! The exec probe on this machine: a command with a hard deadline that takes its whole process group with it.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::Instant;

pub mod orphans;

use self::orphans::Leaders;
use crate::outcome::{MAX_OUTPUT, Outcome, ProbeError, Reason, Verdict};
use crate::text;

/// Runs `command`, without a shell, within `timeout`.
///
/// A command that cannot be started says nothing of the target and is an error. One that outlives its deadline, or
/// leaves a child behind that holds its output open until then, is a failure; its process group is killed. Dropping the
/// future kills the group too.
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
    let mut group = Group::start(command, input)?;
    group.write_stdin(input.stdin);
    let finished = tokio::time::timeout_at(start + timeout, group.finish()).await;
    let (verdict, reason, output) = match finished {
        Ok(Ok((status, output))) => judge(status, output),
        Ok(Err(error)) => return Err(ProbeError::unknown(error.to_string())),
        Err(_) => {
            group.kill().await;
            let text = timed_out(command, timeout);
            (Verdict::Failure, Some(Reason::ExecTimeout), text)
        }
    };
    Ok(Outcome {
        verdict,
        reason,
        output,
        took: start.elapsed(),
    })
}

/// The kubelet's text for a command that outlived its deadline.
#[must_use]
pub fn timed_out(command: &[String], timeout: Duration) -> String {
    format!(
        "command timed out: {:?} timed out after {}",
        command.join(" "),
        text::duration(timeout)
    )
}

fn judge(status: ExitStatus, output: String) -> (Verdict, Option<Reason>, String) {
    use std::os::unix::process::ExitStatusExt as _;
    let reason = match (status.code(), status.signal()) {
        (Some(0), _) => return (Verdict::Success, None, output),
        (Some(code), _) => Reason::ExitCode(code),
        (None, Some(signal)) => Reason::Signal(signal),
        (None, None) => Reason::Other,
    };
    (Verdict::Failure, Some(reason), output)
}

/// A process group with its leader, killed unless it has finished.
struct Group {
    leader: Child,
    id: Option<Pid>,
}

impl Group {
    fn start(command: &[String], input: &Input<'_>) -> Result<Self, ProbeError> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(ProbeError::unknown("no command to run"));
        };
        let mut leaders = Leaders::lock();
        let mut command = Command::new(program);
        let marker = leaders.mark(&mut command);
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
                let why = text::os_error(&error);
                ProbeError::unknown(format!("exec: {program:?}: {why}"))
            })?;
        let id = leader.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            leaders.runs(id, marker);
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

    /// Standard output, then standard error, then the leader's end.
    ///
    /// The leader is reaped last: while it is not, its number belongs to this group and to no other.
    async fn finish(&mut self) -> std::io::Result<(ExitStatus, String)> {
        let (stdout, stderr) = (self.leader.stdout.take(), self.leader.stderr.take());
        let (mut output, rest) = tokio::try_join!(read(stdout), read(stderr))?;
        let status = self.leader.wait().await?;
        self.ended();
        output.extend(rest);
        output.truncate(MAX_OUTPUT);
        Ok((status, String::from_utf8_lossy(&output).into_owned()))
    }

    async fn kill(&mut self) {
        self.signal();
        if let Err(error) = self.leader.wait().await {
            tracing::debug!(%error, "a probe's command was not reaped");
        }
        self.ended();
    }

    fn ended(&mut self) {
        if let Some(id) = self.id.take() {
            Leaders::lock().has_ended(id.as_raw());
        }
    }

    fn signal(&self) {
        if let Some(id) = self.id
            && let Err(error) = killpg(id, Signal::SIGKILL)
        {
            tracing::debug!(%error, "a probe's process group was gone");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal();
        if let Some(id) = self.id {
            Leaders::lock().is_let_go(id.as_raw());
        }
    }
}

/// The first bytes of a stream; what follows them is read and dropped, so that the writer is not held up.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(stream) = stream {
        let mut head = stream.take(MAX_OUTPUT as u64);
        head.read_to_end(&mut kept).await?;
        tokio::io::copy(&mut head.into_inner(), &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}

#[cfg(test)]
mod tests;
