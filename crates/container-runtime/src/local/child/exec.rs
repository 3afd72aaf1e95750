//! The role `__exec`: joins a running container, starts a command in it, and exits as the command does.

use std::ffi::CString;
use std::io;
use std::process::ExitCode;

use nix::sched::{CloneFlags, setns};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::rootfs;
use super::security::drop_capabilities;
use super::user::set_user;
use super::{open_pidfd, set_controlling_terminal};
use crate::local::io_context;
use crate::local::spec::ExecSpec;
use crate::process::{block_signals, wait_forwarding_signals};

/// Environment variable with the [`ExecSpec`]: unlike arguments, other users cannot read it.
pub(in crate::local) const SPEC_VARIABLE: &str = "SELFHEAL_EXEC";

pub(super) fn run() -> io::Result<ExitCode> {
    let text = std::env::var(SPEC_VARIABLE).map_err(io::Error::other)?;
    let spec: ExecSpec = serde_json::from_str(&text)?;
    if spec.tty {
        set_controlling_terminal("/proc/self/fd/0")?;
    }
    join_container(&spec)?;
    // Blocked before the command starts: if this process died first, the command would not be reaped and the container
    // could not exit.
    let signals = block_signals()?;
    let command = spawn(&spec)?;
    let has_group = !spec.tty;
    wait_forwarding_signals(
        || Ok(exit_code(waitpid(command, Some(WaitPidFlag::WNOHANG))?)),
        &signals,
        // Any signal to this process kills the command and its children.
        |_| {
            let _ = if has_group {
                killpg(command, Signal::SIGKILL)
            } else {
                kill(command, Signal::SIGKILL)
            };
        },
    )
}

/// Joins the container's namespaces. Only children of this process join the PID namespace.
fn join_container(spec: &ExecSpec) -> io::Result<()> {
    setns(
        open_pidfd(spec.pid)?,
        CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )?;
    drop_capabilities()?;
    set_user(&spec.user)?;
    let cwd = spec.cwd.as_deref().unwrap_or("/");
    nix::unistd::chdir(cwd).map_err(io_context(format!("changing to {cwd}")))
}

/// Starts the command with no signal blocked or ignored. `std::process::Command` would pass on the signal mask of this
/// process.
fn spawn(spec: &ExecSpec) -> io::Result<Pid> {
    let program = spec.argv.first();
    let program = program.ok_or_else(|| io::Error::other("no command to run"))?;
    let path = rootfs::lookup(program, &spec.env)?;
    let mut attributes = PosixSpawnAttr::init()?;
    let mut flags =
        PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
    attributes.set_sigmask(&SigSet::empty())?;
    // Rust's runtime ignores SIGPIPE.
    attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
    if !spec.tty {
        flags |= PosixSpawnFlags::POSIX_SPAWN_SETPGROUP;
        attributes.set_pgroup(Pid::from_raw(0))?;
    }
    attributes.set_flags(flags)?;
    let text = |text: String| CString::new(text).map_err(io::Error::other);
    let argv = spec.argv.iter().cloned().map(text);
    let argv = argv.collect::<io::Result<Vec<_>>>()?;
    let env = spec.env.iter();
    let env = env.map(|(name, value)| text(format!("{name}={value}")));
    let env = env.collect::<io::Result<Vec<_>>>()?;
    let streams = PosixSpawnFileActions::init()?;
    posix_spawn(&path, &streams, &attributes, &argv, &env)
        .map_err(io_context(format!("exec: {program:?}")))
}

/// Returns the exit code, or 128 + the signal number if a signal killed the process; `None` while it runs.
fn exit_code(status: WaitStatus) -> Option<u8> {
    let code = match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        _ => return None,
    };
    Some(u8::try_from(code).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_code_is_that_of_a_shell_and_none_while_the_command_runs() {
        let pid = Pid::from_raw(7);
        for (status, expected) in [
            (WaitStatus::StillAlive, None),
            (WaitStatus::Exited(pid, 0), Some(0)),
            (WaitStatus::Exited(pid, 255), Some(255)),
            (WaitStatus::Signaled(pid, Signal::SIGKILL, false), Some(137)),
        ] {
            assert_eq!(exit_code(status), expected);
        }
    }
}
