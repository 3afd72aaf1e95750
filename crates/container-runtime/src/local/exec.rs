//! Commands in a running container: the node's side of the role `__exec`.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use probe::MAX_OUTPUT;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::child;
use super::container::Container;
use super::pty::Pty;
use super::spec::ExecSpec;
use super::system;
use crate::process::reexec_self;
use crate::{ExecError, ExecOptions, ExecResult, ExecSession, RuntimeError};

/// A running `__exec` process. Dropping it kills the command.
struct ExecProcess(Child);

impl Drop for ExecProcess {
    fn drop(&mut self) {
        // On SIGTERM `__exec` kills the command's process group. With SIGKILL it could not.
        if let Some(pid) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}

impl ExecProcess {
    async fn wait(&mut self) -> Result<i32, RuntimeError> {
        let status = self.0.wait().await;
        let status = status.map_err(system("waiting for a command"))?;
        Ok(status.code().unwrap_or(128 + Signal::SIGKILL as i32))
    }
}

fn exec_command(
    container: &Container,
    argv: &[String],
    tty: bool,
) -> Result<Command, RuntimeError> {
    let exited = || RuntimeError::NotFound("the container's process".to_owned());
    let spec = ExecSpec {
        pid: container.pid().ok_or_else(exited)?,
        argv: argv.to_vec(),
        env: container.env.clone(),
        cwd: container.cwd.clone(),
        user: container.user.clone(),
        tty,
    };
    let text =
        serde_json::to_string(&spec).map_err(|error| RuntimeError::Start(error.to_string()))?;
    let mut command = Command::from(reexec_self(child::EXEC));
    command.env_clear().env(child::exec::SPEC_VARIABLE, text);
    Ok(command)
}

/// Runs a command until it exits or `timeout` expires.
pub(super) async fn run(
    container: &Container,
    argv: &[String],
    timeout: Duration,
) -> Result<ExecResult, ExecError> {
    let mut command = exec_command(container, argv, false)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(system("running a command"))?;
    let mut process = ExecProcess(child);
    let streams = (process.0.stdout.take(), process.0.stderr.take());
    let finish = async {
        let (stdout, stderr) = tokio::join!(read_capped(streams.0), read_capped(streams.1));
        (stdout, stderr, process.wait().await)
    };
    let finished = tokio::time::timeout(timeout, finish).await;
    let Ok((stdout, stderr, code)) = finished else {
        return Err(ExecError::Timeout {
            command: argv.join(" "),
        });
    };
    Ok(ExecResult {
        code: code?,
        stdout,
        stderr,
    })
}

/// Reads the stream to its end and returns its first [`MAX_OUTPUT`] bytes. Reading the rest keeps the command from
/// blocking.
async fn read_capped(stream: Option<impl AsyncRead + Unpin>) -> Bytes {
    let mut output = Vec::new();
    if let Some(stream) = stream {
        let mut head = stream.take(MAX_OUTPUT as u64);
        let _ = head.read_to_end(&mut output).await;
        let _ = tokio::io::copy(&mut head.into_inner(), &mut tokio::io::sink()).await;
    }
    output.into()
}

/// Starts a command with attached streams.
pub(super) fn run_attached(
    container: &Container,
    argv: &[String],
    options: ExecOptions,
) -> Result<ExecSession, RuntimeError> {
    let command = exec_command(container, argv, options.tty)?;
    if options.tty {
        run_on_pty(command).map_err(system("running a command on a terminal"))
    } else {
        run_on_pipes(command, options.stdin)
    }
}

fn run_on_pipes(mut command: Command, stdin: bool) -> Result<ExecSession, RuntimeError> {
    let input = if stdin { Stdio::piped() } else { Stdio::null() };
    let child = command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(system("running a command"))?;
    let mut process = ExecProcess(child);
    let no_stream = || RuntimeError::Start("the command has no output".to_owned());
    let stdout = process.0.stdout.take().ok_or_else(no_stream)?;
    let stderr = process.0.stderr.take().ok_or_else(no_stream)?;
    let stdin = process.0.stdin.take();
    Ok(ExecSession {
        stdin: stdin.map(|stdin| Box::new(stdin) as _),
        stdout: Box::new(stdout),
        stderr: Some(Box::new(stderr)),
        resize: None,
        exit: Box::pin(async move { process.wait().await }),
    })
}

fn run_on_pty(mut command: Command) -> io::Result<ExecSession> {
    let (pty, replica) = Pty::open()?;
    command
        .stdin(replica.try_clone()?)
        .stdout(replica.try_clone()?)
        .stderr(replica);
    let mut process = ExecProcess(command.spawn()?);
    // Close the command's copies of the replica, or reading the terminal would never end.
    drop(command);
    Ok(ExecSession {
        stdin: Some(Box::new(pty.writer()?)),
        stdout: Box::new(pty.reader()?),
        stderr: None,
        resize: Some(pty.resize_sender()?),
        exit: Box::pin(async move { process.wait().await }),
    })
}
