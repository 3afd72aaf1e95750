//! A command in a container that runs.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use probe::MAX_OUTPUT;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::container::Container;
use super::exec;
use super::role;
use super::spec::ExecSpec;
use super::system;
use super::terminal::Terminal;
use crate::{ExecError, ExecOptions, ExecResult, ExecSession, RuntimeError};

/// Ends the command with itself.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The helper kills the command's whole group; killed itself, it could not.
        if let Some(pid) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}

fn command(container: &Container, argv: &[String], tty: bool) -> Result<Command, RuntimeError> {
    let gone = || RuntimeError::NotFound("the container's process".to_owned());
    let spec = ExecSpec {
        pid: container.pid().ok_or_else(gone)?,
        argv: argv.to_vec(),
        env: container.env.clone(),
        cwd: container.cwd.clone(),
        user: container.user.clone(),
        tty,
    };
    let text =
        serde_json::to_string(&spec).map_err(|error| RuntimeError::Start(error.to_string()))?;
    let mut command = Command::from(role::again("__exec"));
    command.env_clear().env(exec::SPEC, text);
    Ok(command)
}

/// Runs a command to its end or its deadline.
pub(super) async fn run(
    container: &Container,
    argv: &[String],
    timeout: Duration,
) -> Result<ExecResult, ExecError> {
    let mut command = command(container, argv, false)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(system("running a command"))?;
    let mut running = Running(child);
    let streams = (running.0.stdout.take(), running.0.stderr.take());
    let finish = async {
        let (stdout, stderr) = tokio::join!(capped(streams.0), capped(streams.1));
        let status = running.0.wait().await;
        (stdout, stderr, status)
    };
    let finished = tokio::time::timeout(timeout, finish).await;
    let Ok((stdout, stderr, status)) = finished else {
        return Err(ExecError::Timeout {
            command: argv.join(" "),
        });
    };
    let status = status.map_err(system("waiting for a command"))?;
    Ok(ExecResult {
        code: status.code().unwrap_or(128 + Signal::SIGKILL as i32),
        stdout,
        stderr,
    })
}

/// The first bytes; what follows is read and dropped, so that the writer is not held up.
async fn capped(stream: Option<impl AsyncRead + Unpin>) -> Bytes {
    let mut kept = Vec::new();
    if let Some(stream) = stream {
        let mut head = stream.take(MAX_OUTPUT as u64);
        let _ = head.read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut head.into_inner(), &mut tokio::io::sink()).await;
    }
    kept.into()
}

/// Runs a command with its streams attached.
pub(super) fn attach(
    container: &Container,
    argv: &[String],
    options: ExecOptions,
) -> Result<ExecSession, RuntimeError> {
    let command = command(container, argv, options.tty)?;
    if options.tty {
        on_terminal(command).map_err(system("running a command on a terminal"))
    } else {
        on_pipes(command, options.stdin)
    }
}

fn on_pipes(mut command: Command, stdin: bool) -> Result<ExecSession, RuntimeError> {
    let input = if stdin { Stdio::piped() } else { Stdio::null() };
    let child = command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(system("running a command"))?;
    let mut running = Running(child);
    let no_stream = || RuntimeError::Start("the command has no output".to_owned());
    let stdout = running.0.stdout.take().ok_or_else(no_stream)?;
    let stderr = running.0.stderr.take().ok_or_else(no_stream)?;
    let stdin = running.0.stdin.take();
    Ok(ExecSession {
        stdin: stdin.map(|stdin| Box::new(stdin) as _),
        stdout: Box::new(stdout),
        stderr: Some(Box::new(stderr)),
        resize: None,
        exit: exit(running),
    })
}

fn on_terminal(mut command: Command) -> io::Result<ExecSession> {
    let (terminal, end) = Terminal::open()?;
    command
        .stdin(end.try_clone()?)
        .stdout(end.try_clone()?)
        .stderr(end);
    let running = Running(command.spawn()?);
    // The command keeps its ends of the terminal: ours have to go, or reading would never end.
    drop(command);
    Ok(ExecSession {
        stdin: Some(Box::new(terminal.writer()?)),
        stdout: Box::new(terminal.reader()?),
        stderr: None,
        resize: Some(terminal.resize()?),
        exit: exit(running),
    })
}

fn exit(mut running: Running) -> futures::future::BoxFuture<'static, Result<i32, RuntimeError>> {
    Box::pin(async move {
        let status = running
            .0
            .wait()
            .await
            .map_err(system("waiting for a command"))?;
        Ok(status.code().unwrap_or(128 + Signal::SIGKILL as i32))
    })
}
