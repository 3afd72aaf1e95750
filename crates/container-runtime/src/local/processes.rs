//! A process namespace that all containers of a pod are in, and its first process, which reaps what they leave behind.
//!
//! A container's mounts stay its own there, so they tell whose a process is: at a container's end whatever still runs in
//! them is killed, and nothing of the others.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::confine::drop_rights;
use super::role::{again, hold_signals, supervise};
use super::root::{pivot, read_only};

/// A pod's process namespace.
pub(super) struct Processes {
    /// The process that holds it; with it everything inside ends.
    holder: Child,
    /// Its first process, as the node counts.
    first: i32,
}

impl Processes {
    /// Makes one; `folder` is an empty one for the first process to be in.
    pub(super) async fn start(folder: &Path) -> io::Result<Self> {
        fs::create_dir(folder)?;
        let mut holder = Command::from(again("__processes"))
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let mut number = String::new();
        if let Some(mut stdout) = holder.stdout.take() {
            stdout.read_to_string(&mut number).await?;
        }
        let first = number.trim().parse();
        let first = first.map_err(|_| io::Error::other("its first process did not begin"))?;
        Ok(Self { holder, first })
    }

    pub(super) fn first(&self) -> i32 {
        self.first
    }

    /// Ends all that is in it.
    pub(super) fn end(&self) {
        if self.holder.id().is_some() {
            let _ = kill(Pid::from_raw(self.first), Signal::SIGKILL);
        }
    }
}

/// The role of the holder: makes the namespace and waits for its first process.
pub(super) fn holder() -> io::Result<ExitCode> {
    let folder = std::env::args_os().nth(2);
    let folder = folder.ok_or_else(|| io::Error::other("no folder for the first process"))?;
    unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS)?;
    let signals = hold_signals()?;
    // Its first process moves both of them into an empty root.
    let nowhere = fs::File::open("/dev/null")?;
    let mut child = again("__pause")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut word = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut word)?;
    }
    if !word.is_empty() {
        // Whoever waits for this number reads until there is no more.
        let mut stdout = io::stdout();
        writeln!(stdout, "{}", child.id())?;
        nix::unistd::dup2_stdout(nowhere)?;
    }
    supervise(&mut child, &signals, |child, _| {
        let _ = kill(child, Signal::SIGKILL);
    })
}

/// The role of the first process: has nothing, may do nothing, and reaps.
pub(super) fn pause() -> io::Result<ExitCode> {
    let folder = std::env::args_os().nth(2).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("no folder to be in"))?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.thread_block()?;
    nothing_but(&folder)?;
    drop_rights()?;
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

/// Other containers reach this process's root through `/proc`: it has to be an empty one.
fn nothing_but(folder: &Path) -> io::Result<()> {
    let none: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(
        Some("tmpfs"),
        folder,
        Some("tmpfs"),
        flags,
        Some("size=4k,mode=755"),
    )?;
    pivot(folder)?;
    read_only(Path::new("/"))
}

/// What names the mounts that this process sees.
pub(super) fn own_mounts() -> io::Result<String> {
    let link = fs::read_link("/proc/self/ns/mnt")?;
    Ok(link.to_string_lossy().into_owned())
}

/// Kills every process that sees these mounts.
pub(super) fn kill_all_in(mounts: &str) -> io::Result<()> {
    let depth = numbers("/proc/self/status")?.len();
    // One may have started another since it was looked for.
    while kill_once(mounts, depth)? {}
    Ok(())
}

/// Says whether there was any.
fn kill_once(mounts: &str, depth: usize) -> io::Result<bool> {
    let mut any = false;
    for entry in fs::read_dir("/proc")? {
        let folder = entry?.path();
        let sees =
            || fs::read_link(folder.join("ns/mnt")).is_ok_and(|link| link.as_os_str() == mounts);
        if !sees() {
            continue;
        }
        // `/proc` may count from further outside than this process does.
        let Some(number) = numbers(folder.join("status"))
            .ok()
            .and_then(|numbers| numbers.get(depth - 1).copied())
            .and_then(rustix::process::Pid::from_raw)
        else {
            continue;
        };
        // Looked at again once it is held: until then the number could have become another's.
        if let Ok(process) = pidfd_open(number, PidfdFlags::empty())
            && sees()
        {
            any |= pidfd_send_signal(process.as_fd(), rustix::process::Signal::KILL).is_ok();
        }
    }
    Ok(any)
}

/// A process's numbers, from the outermost namespace that `/proc` tells of inwards.
fn numbers(status: impl AsRef<Path>) -> io::Result<Vec<i32>> {
    let mut text = String::new();
    fs::File::open(status)?.read_to_string(&mut text)?;
    let line = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let line = line.ok_or_else(|| io::Error::other("/proc tells no NSpid"))?;
    let parsed = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>();
    parsed.map_err(io::Error::other)
}
