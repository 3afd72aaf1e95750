//! Code of re-executed children. The node executes its own program again where a step needs a process of its own.
//!
//! | role | process |
//! |---|---|
//! | `__container-shim` | one per container: joins the pod's network and creates the container's namespaces |
//! | `__container-init` | PID 1 of the container: builds the root file system, then executes the container's program |
//! | `__pause-shim` | one per pod with `shareProcessNamespace`: creates the PID namespace |
//! | `__pause` | PID 1 of that namespace |
//! | `__exec` | one per command in a running container |
//! | `__cleanup` | removes a file when the node exits |
//!
//! Each has a single thread, as `setns` and `unshare` require. All of it is safe code: there is no fork without an exec.

pub(super) mod exec;
mod init;
mod mountpoints;
mod pause;
pub(super) mod rootfs;
mod security;
mod shim;
mod user;

use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use crate::process::unblock_signals;

/// Exit code of a shell for a command that does not exist.
const NOT_FOUND: u8 = 127;
/// Exit code of a container runtime for a container that did not start.
const NOT_STARTED: u8 = 128;

/// Roles that the node starts; see the module's table.
pub(super) const CONTAINER_SHIM: &str = "__container-shim";
const CONTAINER_INIT: &str = "__container-init";
pub(super) const PAUSE_SHIM: &str = "__pause-shim";
const PAUSE: &str = "__pause";
pub(super) const EXEC: &str = "__exec";
/// Role that removes the file in its argument when its standard input is closed.
pub const CLEANUP: &str = "__cleanup";

/// Runs the role that the first argument names, if it names one. `main` calls it before it starts a thread.
#[must_use]
pub fn dispatch() -> Option<ExitCode> {
    let role = std::env::args().nth(1)?;
    if role.starts_with("__")
        && let Err(error) = unblock_signals()
    {
        let _ = writeln!(io::stderr(), "selfheal: {error}");
    }
    let result = match role.as_str() {
        CONTAINER_SHIM => shim::run(),
        CONTAINER_INIT => init::run(),
        PAUSE_SHIM => pause::run_shim(),
        PAUSE => pause::run(),
        EXEC => exec::run(),
        CLEANUP => remove_file_on_eof(),
        _ => return None,
    };
    Some(result.unwrap_or_else(|error| {
        // Standard error is the container's log, the only output of this process.
        let _ = writeln!(io::stderr(), "selfheal: {error}");
        ExitCode::from(if error.kind() == io::ErrorKind::NotFound {
            NOT_FOUND
        } else {
            NOT_STARTED
        })
    }))
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn remove_file_on_eof() -> io::Result<ExitCode> {
    let file = std::env::args_os().nth(2);
    let file = file.ok_or_else(|| io::Error::other("no file to remove"))?;
    read_stdin()?;
    std::fs::remove_file(file)?;
    Ok(ExitCode::SUCCESS)
}

/// Starts a session whose controlling terminal is `path`.
fn set_controlling_terminal(path: &str) -> io::Result<()> {
    nix::unistd::setsid()?;
    // A session leader without a controlling terminal gets the one that it opens.
    std::fs::File::open(path).map(drop)
}

/// Opens a pidfd, which `setns` accepts.
fn open_pidfd(pid: i32) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid)
        .ok_or_else(|| io::Error::other("the container has no process"))?;
    let flags = rustix::process::PidfdFlags::empty();
    Ok(rustix::process::pidfd_open(pid, flags)?)
}
