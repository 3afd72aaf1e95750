//! Creates the namespaces of the node and re-executes the program inside them.
//!
//! The first process creates a PID, a mount and, without root, a user namespace, and starts the program again as PID 1 of
//! the PID namespace. When the first process exits, even after `kill -9`, the kernel kills its child, and with PID 1 every
//! process and mount of the node.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};

use container_runtime::local::CLEANUP as CLEANUP_ROLE;
use container_runtime::process::{block_signals, reexec_self, supervise};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{getegid, geteuid};

/// First argument of the process that runs inside the namespaces.
pub const NODE_ROLE: &str = "__node-init";

/// Directories that every host has and that rarely contain programs. The node mounts its own files over one of them, in its
/// mount namespace only.
const SCRATCH_DIR_CANDIDATES: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];

/// Error of the namespaces' creation or initialization.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The kernel does not allow this user to create namespaces.
    #[error(
        "this host does not let {user} create the namespaces that pods run in: {reason}\n{}",
        advice(user)
    )]
    NotAllowed {
        /// Name of the kind of user.
        user: &'static str,
        /// The kernel's reason. Not a `source`: the message contains it.
        reason: String,
    },
    /// Any other failed operation.
    #[error("{operation}: {source}")]
    System {
        /// The operation that failed.
        operation: &'static str,
        /// Error of the operating system.
        source: io::Error,
    },
}

const ROOT: &str = "root";

/// Returns lines on how to allow namespaces to `user`.
fn advice(user: &str) -> String {
    let for_users = if user == ROOT {
        ""
    } else {
        "  run it as root, or as root allow ordinary users to create namespaces:\n    \
           sysctl -w kernel.unprivileged_userns_clone=1 (Debian)\n    \
           sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)\n"
    };
    format!(
        "{for_users}  raise the limit: sysctl -w user.max_user_namespaces=10000 user.max_pid_namespaces=10000 \
         user.max_mnt_namespaces=10000\n  \
         in a container: start it with a seccomp profile that allows unshare and mount\n  \
         without namespaces, on scripted workloads: selfheal exercise --simulated"
    )
}

/// Describes the kernel's error. `ENOSPC` means that a limit of namespaces is reached, not that a disk is full.
fn describe_unshare_error(error: &io::Error) -> String {
    if error.raw_os_error() == Some(Errno::ENOSPC as i32) {
        "the limit of namespaces is reached (ENOSPC; /proc/sys/user/max_*_namespaces)".to_owned()
    } else {
        error.to_string()
    }
}

fn system<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> NamespaceError {
    move |error| NamespaceError::System {
        operation,
        source: error.into(),
    }
}

/// Starts this program with `arguments` inside new namespaces, waits for it and returns its exit code. The calling process
/// must have one thread. `cleanup_file` is removed after the node exits, however it exits.
///
/// # Errors
/// If the kernel does not allow the namespaces, or a process cannot be started.
pub fn run_in_namespaces(
    arguments: impl Iterator<Item = OsString>,
    cleanup_file: Option<&Path>,
) -> Result<ExitCode, NamespaceError> {
    let cleanup = cleanup_file.map(Cleanup::start).transpose();
    let cleanup = cleanup.map_err(system("starting the clean-up process"))?;
    create_namespaces()?;
    let signals = block_signals().map_err(system("blocking signals"))?;
    let mut command = reexec_self(NODE_ROLE);
    let mut child = command
        .args(arguments)
        // The pipe stays open while this process runs; `is_parent_dead` polls it.
        .stdin(Stdio::piped())
        // A process group of its own: the terminal sends SIGINT to this process only, which forwards it once.
        .process_group(0)
        .spawn()
        .map_err(system("starting the node"))?;
    let _parent_pipe = child.stdin.take();
    let status = supervise(&mut child, &signals, |child, signal| {
        let _ = kill(child, signal);
    });
    if let Some(cleanup) = cleanup {
        cleanup.finish();
    }
    status.map_err(system("waiting for the node"))
}

/// Process outside the namespaces that removes a file when its standard input is closed, also after `kill -9` of this
/// process.
struct Cleanup(Child);

impl Cleanup {
    fn start(file: &Path) -> io::Result<Self> {
        let mut command = reexec_self(CLEANUP_ROLE);
        command.arg(file).stdin(Stdio::piped()).process_group(0);
        Ok(Self(command.spawn()?))
    }

    /// Starts the removal and waits for it.
    fn finish(mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Creates the namespaces of a node in this process. The process must have one thread; afterwards it can start its PID 1 and
/// no threads.
///
/// # Errors
/// If the kernel does not allow the namespaces.
pub fn create_namespaces() -> Result<(), NamespaceError> {
    let (uid, gid) = (geteuid(), getegid());
    let flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    let user = if uid.is_root() {
        ROOT
    } else {
        "an ordinary user"
    };
    let not_allowed = |error: io::Error| NamespaceError::NotAllowed {
        user,
        reason: describe_unshare_error(&error),
    };
    // Root needs no user namespace, and keeps its capabilities on the host, e.g. for service ports below 1024.
    if uid.is_root() {
        return unshare(flags).map_err(|error| not_allowed(error.into()));
    }
    unshare(CloneFlags::CLONE_NEWUSER | flags).map_err(|error| not_allowed(error.into()))?;
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ] {
        fs::write(file, text).map_err(not_allowed)?;
    }
    Ok(())
}

/// Initializes the process that [`run_in_namespaces`] started: ties it to its parent and makes mounts private. Returns a
/// directory for the node's files, on a file system in memory.
///
/// # Errors
/// If the parent has exited, or a mount fails.
pub fn init() -> Result<PathBuf, NamespaceError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(system("tying the node to its parent"))?;
    if is_parent_dead().map_err(system("checking for the parent process"))? {
        return Err(system("starting the node")(io::Error::other(
            "the parent process has exited",
        )));
    }
    let none: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).map_err(system("making mounts private"))?;
    let dir = scratch_dir()
        .ok_or(Errno::ENOENT)
        .map_err(system("finding a directory for the node's files"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), dir, Some("tmpfs"), flags, Some("mode=700"))
        .map_err(system("mounting the directory of the node's files"))?;
    Ok(dir.to_owned())
}

/// Returns the first candidate that exists and contains nothing that the node uses.
fn scratch_dir() -> Option<&'static Path> {
    let postgresql = todo_db::installation::find(None).and_then(|found| found.tree);
    let in_use = [
        std::env::current_dir().ok(),
        std::env::current_exe().ok(),
        postgresql,
    ];
    let is_free = |dir: &&Path| {
        let mut in_use = in_use.iter().flatten();
        dir.is_dir() && !in_use.any(|path| path.starts_with(dir))
    };
    SCRATCH_DIR_CANDIDATES
        .map(Path::new)
        .into_iter()
        .find(is_free)
}

/// Returns `true` if the parent exited before `set_pdeathsig`, which then sends no signal: its end of the pipe is closed.
fn is_parent_dead() -> nix::Result<bool> {
    let stdin = io::stdin();
    let mut parent_pipe = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut parent_pipe, PollTimeout::ZERO)?;
    let events = parent_pipe[0].revents().unwrap_or(PollFlags::empty());
    Ok(events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_of_namespaces_is_not_reported_as_a_full_disk() {
        let error = io::Error::from(Errno::ENOSPC);
        let reason = describe_unshare_error(&error);
        assert!(reason.contains("limit of namespaces"), "{reason}");
        assert!(!reason.contains("space left"), "{reason}");
    }

    #[test]
    fn advice_for_root_is_not_to_become_root() {
        assert!(!advice(ROOT).contains("as root"));
        assert!(advice("an ordinary user").contains("as root"));
    }
}
