//! Room for a node on this machine: processes and mounts of its own, which end with it whatever ends it.
//!
//! The program that a person starts makes the namespaces and starts itself again inside as their first process. When that
//! program ends, even by `kill -9`, the kernel ends its child, and with it every process and mount that the node made.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};

use container_runtime::local::CLEANUP;
use container_runtime::process::{block_signals, reexec_self, supervise};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{getegid, geteuid};

/// The role of the process inside.
pub const INSIDE: &str = "__node-init";

/// Folders that every machine has and few programs are in. One is covered, inside only, by the node's own files.
const COVERED: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];

/// Why there is no room.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The kernel does not let this user create namespaces.
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
    /// Anything else that failed.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

const ROOT: &str = "root";

/// Lines on how to allow namespaces to `user`.
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

/// The kernel's reason in words: `ENOSPC` is a limit of namespaces, not a full disk.
fn reason(error: &io::Error) -> String {
    if error.raw_os_error() == Some(Errno::ENOSPC as i32) {
        "the limit of namespaces is reached (ENOSPC; /proc/sys/user/max_*_namespaces)".to_owned()
    } else {
        error.to_string()
    }
}

/// Creates the namespaces of a node in this process, which has one thread and is good for nothing else then.
///
/// # Errors
/// When the kernel refuses the namespaces.
pub fn try_namespaces() -> Result<(), EnterError> {
    make_namespaces()
}

fn system<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> EnterError {
    move |error| EnterError::System {
        doing,
        source: error.into(),
    }
}

/// Starts this program again with `arguments` inside namespaces of its own, and ends as it does. Only for a process that
/// has one thread. `leftover` is a file that goes when the node does, however it ends.
///
/// # Errors
/// When the kernel refuses the namespaces.
pub fn enter(
    arguments: impl Iterator<Item = OsString>,
    leftover: Option<&Path>,
) -> Result<ExitCode, EnterError> {
    let janitor = leftover.map(Janitor::start).transpose();
    let janitor = janitor.map_err(system("starting the janitor"))?;
    make_namespaces()?;
    let signals = block_signals().map_err(system("blocking signals"))?;
    let mut command = reexec_self(INSIDE);
    let mut child = command
        .args(arguments)
        // Open for as long as this process is there.
        .stdin(Stdio::piped())
        // A terminal's Ctrl-C comes here only, and is passed on once.
        .process_group(0)
        .spawn()
        .map_err(system("starting the node"))?;
    let _lifeline = child.stdin.take();
    let ended = supervise(&mut child, &signals, |child, signal| {
        let _ = kill(child, signal);
    });
    if let Some(janitor) = janitor {
        janitor.dismiss();
    }
    ended.map_err(system("waiting for the node"))
}

/// A process outside, which this one cannot take with it.
struct Janitor(Child);

impl Janitor {
    fn start(file: &Path) -> io::Result<Self> {
        let mut command = reexec_self(CLEANUP);
        command.arg(file).stdin(Stdio::piped()).process_group(0);
        Ok(Self(command.spawn()?))
    }

    /// Lets it do its work, and waits for that.
    fn dismiss(mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn make_namespaces() -> Result<(), EnterError> {
    let (uid, gid) = (geteuid(), getegid());
    let own = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    let user = if uid.is_root() {
        ROOT
    } else {
        "an ordinary user"
    };
    let not_allowed = |error: io::Error| EnterError::NotAllowed {
        user,
        reason: reason(&error),
    };
    // Root needs no user namespace, and may have reasons to be root: a service at a port below 1024.
    if uid.is_root() {
        return unshare(own).map_err(|error| not_allowed(error.into()));
    }
    unshare(CloneFlags::CLONE_NEWUSER | own).map_err(|error| not_allowed(error.into()))?;
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ] {
        fs::write(file, text).map_err(not_allowed)?;
    }
    Ok(())
}

/// Makes the inside ready, in the process that [`enter`] started: returns a folder for the node's files.
///
/// # Errors
/// When a mount fails, or whoever started this is gone already.
pub fn inside() -> Result<PathBuf, EnterError> {
    let postgresql = todo_db::installation::find(None).and_then(|found| found.tree);
    let in_use = [
        std::env::current_dir().ok(),
        std::env::current_exe().ok(),
        postgresql,
    ];
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(system("tying the node to its parent"))?;
    if parent_is_gone().map_err(system("looking for the parent"))? {
        return Err(system("starting the node")(io::Error::other(
            "its parent is gone",
        )));
    }
    let none: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).map_err(system("keeping mounts to itself"))?;
    let is_free = |folder: &&Path| {
        let mut in_use = in_use.iter().flatten();
        folder.is_dir() && !in_use.any(|path| path.starts_with(folder))
    };
    let folder = COVERED.iter().map(Path::new).find(is_free);
    let folder = folder
        .ok_or(Errno::ENOENT)
        .map_err(system("finding a folder for the node's files"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("tmpfs"),
        folder,
        Some("tmpfs"),
        flags,
        Some("mode=700"),
    )
    .map_err(system("mounting the node's files"))?;
    Ok(folder.to_owned())
}

/// Between its start and its first instruction here, the parent may have ended: then nothing ends this process.
fn parent_is_gone() -> nix::Result<bool> {
    let stdin = io::stdin();
    let mut lifeline = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut lifeline, PollTimeout::ZERO)?;
    let events = lifeline[0].revents().unwrap_or(PollFlags::empty());
    Ok(events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_of_namespaces_is_not_reported_as_a_full_disk() {
        let error = io::Error::from(Errno::ENOSPC);
        let reason = reason(&error);
        assert!(reason.contains("limit of namespaces"), "{reason}");
        assert!(!reason.contains("space left"), "{reason}");
    }

    #[test]
    fn advice_for_root_is_not_to_become_root() {
        assert!(!advice(ROOT).contains("as root"));
        assert!(advice("an ordinary user").contains("as root"));
    }
}
