//! The roles `__pause-shim` and `__pause`: a PID namespace that the containers of a pod share, and its PID 1.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::PAUSE;
use super::rootfs::{pivot, remount_read_only};
use super::security::drop_capabilities;
use crate::process::{block_signals, reexec_self, supervise};

/// Creates the namespaces, starts PID 1 and writes its number to standard output.
pub(super) fn run_shim() -> io::Result<ExitCode> {
    let dir = dir_argument()?;
    unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS)?;
    let signals = block_signals()?;
    // Opened now: the child pivots the mount namespace of both processes into an empty root.
    let dev_null = fs::File::open("/dev/null")?;
    let mut child = reexec_self(PAUSE)
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ready = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut ready)?;
    }
    if !ready.is_empty() {
        // The node reads standard output until it is closed.
        let mut stdout = io::stdout();
        writeln!(stdout, "{}", child.id())?;
        nix::unistd::dup2_stdout(dev_null)?;
    }
    supervise(&mut child, &signals, |child, _| {
        let _ = kill(child, Signal::SIGKILL);
    })
}

/// Drops all privileges and reaps orphaned processes.
pub(super) fn run() -> io::Result<ExitCode> {
    let dir = dir_argument()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.thread_block()?;
    enter_empty_root(&dir)?;
    drop_capabilities()?;
    prctl::set_no_new_privs()?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets)?;
    writeln!(io::stdout(), "ready")?;
    loop {
        signals.wait()?;
        while let Ok(status) = waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
    }
}

fn dir_argument() -> io::Result<PathBuf> {
    let dir = std::env::args_os().nth(2).map(PathBuf::from);
    dir.ok_or_else(|| io::Error::other("no directory for the empty root"))
}

/// Pivots into an empty, read-only root on `dir`: containers reach the root of this process through `/proc/1/root`.
fn enter_empty_root(dir: &Path) -> io::Result<()> {
    let none: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(
        Some("tmpfs"),
        dir,
        Some("tmpfs"),
        flags,
        Some("size=4k,mode=755"),
    )?;
    pivot(dir)?;
    remount_read_only(Path::new("/"))
}
