//! The role `__exec`: joins a container that runs, starts a command in it, and ends as that ends.

use std::ffi::CString;
use std::io;
use std::process::ExitCode;

use nix::sched::{CloneFlags, setns};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::confine::drop_rights;
use super::role::{attend, hold_signals, own_terminal, process};
use super::root;
use super::spec::ExecSpec;
use super::user::{become_user, explain};

/// The environment variable that carries what is to be done: unlike arguments, others cannot read it.
pub(super) const SPEC: &str = "SELFHEAL_EXEC";

pub(super) fn role() -> io::Result<ExitCode> {
    let text = std::env::var(SPEC).map_err(io::Error::other)?;
    let spec: ExecSpec = serde_json::from_str(&text)?;
    if spec.tty {
        own_terminal("/proc/self/fd/0")?;
    }
    join(&spec)?;
    // Before the command is there: it is not reaped, and its container cannot end, if this process ends before it.
    let signals = hold_signals()?;
    let command = start(&spec)?;
    let group = !spec.tty;
    attend(
        || Ok(code(waitpid(command, Some(WaitPidFlag::WNOHANG))?)),
        &signals,
        // Whatever asks this process to end means the command and what it has started.
        |_| {
            let _ = if group {
                killpg(command, Signal::SIGKILL)
            } else {
                kill(command, Signal::SIGKILL)
            };
        },
    )
}

/// Makes this process one of the container's, but that only its children have a number there.
fn join(spec: &ExecSpec) -> io::Result<()> {
    setns(
        process(spec.pid)?,
        CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )?;
    drop_rights()?;
    become_user(&spec.user)?;
    let cwd = spec.cwd.as_deref().unwrap_or("/");
    nix::unistd::chdir(cwd).map_err(explain(format!("changing to {cwd}")))
}

/// Starts the command with no signal held or ignored. The standard library's commands begin with what this process holds.
fn start(spec: &ExecSpec) -> io::Result<Pid> {
    let program = spec.argv.first();
    let program = program.ok_or_else(|| io::Error::other("no command to run"))?;
    let path = root::lookup(program, &spec.env)?;
    let mut attributes = PosixSpawnAttr::init()?;
    let mut flags =
        PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
    attributes.set_sigmask(&SigSet::empty())?;
    // Which Rust's programs ignore.
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
        .map_err(explain(format!("exec: {program:?}")))
}

/// The exit code, 128 and the signal's number where a signal ended it; none while it runs.
fn code(status: WaitStatus) -> Option<u8> {
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
    fn a_command_that_runs_has_no_code_and_one_that_ended_has_a_shells() {
        let pid = Pid::from_raw(7);
        for (status, expected) in [
            (WaitStatus::StillAlive, None),
            (WaitStatus::Exited(pid, 0), Some(0)),
            (WaitStatus::Exited(pid, 255), Some(255)),
            (WaitStatus::Signaled(pid, Signal::SIGKILL, false), Some(137)),
        ] {
            assert_eq!(code(status), expected);
        }
    }
}
