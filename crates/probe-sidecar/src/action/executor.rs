//! Execution of actions.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use probe::{Outcome, ProbeError, Verdict, exec};
use tokio_util::sync::CancellationToken;

use super::{Event, process, webhook};
use crate::outcome::FailureReason;
use crate::spec::ActionKind;

/// Executes actions. Returns a message for the audit log: what was done, or why it failed.
#[async_trait]
pub trait ActionExecutor: Send + Sync + 'static {
    /// Executes an action for an event.
    async fn execute(&self, effect: &ActionKind, event: &Event) -> Result<String, String>;
}

/// Executes actions from this process.
#[derive(Debug)]
pub struct LocalExecutor {
    shutdown: CancellationToken,
    exit_code: AtomicI32,
}

impl LocalExecutor {
    /// Creates an executor whose `exit` actions cancel `shutdown`.
    #[must_use]
    pub fn new(shutdown: CancellationToken) -> Self {
        Self {
            shutdown,
            exit_code: AtomicI32::new(-1),
        }
    }

    /// Returns the exit code that an action requested.
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        u8::try_from(self.exit_code.load(Ordering::Relaxed)).ok()
    }
}

#[async_trait]
impl ActionExecutor for LocalExecutor {
    async fn execute(&self, effect: &ActionKind, event: &Event) -> Result<String, String> {
        match effect {
            ActionKind::Signal {
                signal,
                process,
                kill_after,
                ..
            } => {
                let (process, signal) = (process.clone(), *signal);
                // Reading /proc takes long on a host with many processes, and probes share this thread.
                let sent = tokio::task::spawn_blocking(move || process::signal(&process, signal));
                let sent = sent.await.map_err(|error| error.to_string())?;
                let signalled = sent.map_err(|error| error.to_string())?;
                let pids: Vec<i32> = signalled.iter().map(|process| process.pid).collect();
                let Some(kill_after) = kill_after else {
                    return Ok(format!("signalled {pids:?}"));
                };
                let killed = process::kill_remaining(signalled, *kill_after).await;
                Ok(match killed.as_slice() {
                    [] => format!("signalled {pids:?}"),
                    killed => format!("signalled {pids:?}, killed {killed:?} after {kill_after:?}"),
                })
            }
            ActionKind::Exit(code) => {
                self.exit_code.store((*code).into(), Ordering::Relaxed);
                self.shutdown.cancel();
                Ok("shutting down".to_owned())
            }
            ActionKind::Exec { command, timeout } => {
                match run_command(command, event, *timeout).await {
                    Ok(outcome) if outcome.verdict == Verdict::Success => Ok(outcome.output),
                    Ok(outcome) => Err(failure(&outcome)),
                    Err(error) => Err(error.to_string()),
                }
            }
            ActionKind::Webhook {
                url,
                headers,
                timeout,
                tls,
                body,
                ..
            } => {
                let body = match body {
                    Some(template) => event.render(template),
                    None => event.json(),
                };
                webhook::post(url, headers, tls.as_ref(), body, *timeout)
                    .await
                    .map_err(|error| error.to_string())
            }
            ActionKind::WriteFile { path, content } => {
                let content = content
                    .clone()
                    .unwrap_or_else(|| format!("{}\n", event.json()));
                write_atomically(path, &content)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                Ok("written".to_owned())
            }
        }
    }
}

/// Runs a command with the event in its environment and as JSON on standard input.
async fn run_command(
    command: &[String],
    event: &Event,
    timeout: Duration,
) -> Result<Outcome, ProbeError> {
    let (env, stdin) = (event.environment(), event.json());
    let input = exec::Input {
        env: &env,
        stdin: Some(&stdin),
    };
    exec::run(command, &input, timeout).await
}

/// Replaces the file atomically (write to a temporary file, then rename), so a reader never sees partial content.
pub(super) fn write_atomically(path: &Path, content: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let mut file = fs::File::create(&name)?;
    file.write_all(content.as_bytes())?;
    fs::rename(&name, path)
}

/// Returns the reason and the output of a failed command.
fn failure(outcome: &Outcome) -> String {
    match outcome.reason {
        Some(reason) => format!("{}: {}", FailureReason::from(reason), outcome.output),
        None => outcome.output.clone(),
    }
}
