//! Helpers for processes that re-execute this program and supervise the child.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;

/// Returns a command that executes this program again with `role` as its first argument.
pub fn reexec_self(role: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    // `ps` shows argv[0].
    command.arg0("selfheal").arg(role);
    command
}

/// Blocks the signals that [`supervise`] waits for, in the calling thread, and returns them.
///
/// # Errors
/// The error of `pthread_sigmask`.
pub fn block_signals() -> io::Result<SigSet> {
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ] {
        signals.add(signal);
    }
    signals.thread_block()?;
    Ok(signals)
}

/// Unblocks all signals: a process inherits the blocked signals of its parent.
pub(crate) fn unblock_signals() -> io::Result<()> {
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Waits until `child` exits and returns its exit code. Calls `forward` for each of the blocked `signals` that this
/// process receives.
///
/// # Errors
/// The error of waiting for the child or for a signal.
pub fn supervise(
    child: &mut Child,
    signals: &SigSet,
    forward: impl Fn(Pid, Signal),
) -> io::Result<ExitCode> {
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let try_wait = || Ok(child.try_wait()?.map(exit_code));
    wait_forwarding_signals(try_wait, signals, |signal| forward(pid, signal))
}

/// Waits until `try_wait` returns an exit code, and calls `forward` for each signal that this process receives.
pub(crate) fn wait_forwarding_signals(
    mut try_wait: impl FnMut() -> io::Result<Option<u8>>,
    signals: &SigSet,
    forward: impl Fn(Signal),
) -> io::Result<ExitCode> {
    loop {
        if let Some(code) = try_wait()? {
            return Ok(ExitCode::from(code));
        }
        match signals.wait()? {
            Signal::SIGCHLD => {}
            signal => forward(signal),
        }
    }
}

/// Returns the exit code, or 128 + the signal number if a signal killed the process.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}
