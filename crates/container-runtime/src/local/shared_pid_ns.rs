//! A PID namespace that the containers of a pod share. `child::pause` is the code of its processes.
//!
//! Each container keeps its own mount namespace, which identifies its processes: when the container exits, the processes
//! in its mount namespace are killed and those of other containers are not.

use std::fs;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::child::PAUSE_SHIM;
use crate::process::reexec_self;

pub(super) struct SharedPidNamespace {
    /// `__pause-shim`. The kernel kills every process of the namespace when it exits.
    shim: Child,
    /// PID of the namespace's first process in the node's PID namespace.
    init_pid: i32,
}

impl SharedPidNamespace {
    /// Creates a namespace. Creates `dir` for the empty root of its first process.
    pub(super) async fn create(dir: &Path) -> io::Result<Self> {
        fs::create_dir(dir)?;
        let mut shim = Command::from(reexec_self(PAUSE_SHIM))
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let mut pid = String::new();
        if let Some(mut stdout) = shim.stdout.take() {
            stdout.read_to_string(&mut pid).await?;
        }
        let init_pid = pid.trim().parse();
        let init_pid = init_pid.map_err(|_| io::Error::other("its first process did not start"))?;
        Ok(Self { shim, init_pid })
    }

    pub(super) fn init_pid(&self) -> i32 {
        self.init_pid
    }

    /// Kills the first process, and with it every process of the namespace.
    pub(super) fn kill(&self) {
        if self.shim.id().is_some() {
            let _ = kill(Pid::from_raw(self.init_pid), Signal::SIGKILL);
        }
    }
}

/// Returns the ID of this process's mount namespace, such as `mnt:[4026531841]`.
pub(super) fn mount_ns_id() -> io::Result<String> {
    let link = fs::read_link("/proc/self/ns/mnt")?;
    Ok(link.to_string_lossy().into_owned())
}

/// Kills every process in the mount namespace with this ID.
pub(super) fn kill_all_in(mount_ns: &str) -> io::Result<()> {
    let depth = ns_pids("/proc/self/status")?.len();
    // Repeated because a process may fork while `/proc` is read.
    while kill_found_in(mount_ns, depth)? {}
    Ok(())
}

/// Returns `true` if it found a process.
fn kill_found_in(mount_ns: &str, depth: usize) -> io::Result<bool> {
    let mut found = false;
    for entry in fs::read_dir("/proc")? {
        let dir = entry?.path();
        let is_in_namespace =
            || fs::read_link(dir.join("ns/mnt")).is_ok_and(|link| link.as_os_str() == mount_ns);
        if !is_in_namespace() {
            continue;
        }
        // `/proc` may belong to an outer PID namespace.
        let Some(pid) = ns_pids(dir.join("status"))
            .ok()
            .and_then(|pids| pids.get(depth - 1).copied())
            .and_then(rustix::process::Pid::from_raw)
        else {
            continue;
        };
        // Checked again with the pidfd open: before that the PID could have been reused.
        if let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
            && is_in_namespace()
        {
            found |= pidfd_send_signal(process.as_fd(), rustix::process::Signal::KILL).is_ok();
        }
    }
    Ok(found)
}

/// Returns the PIDs of a process, from the outermost PID namespace that `/proc` shows to the innermost.
fn ns_pids(status_file: impl AsRef<Path>) -> io::Result<Vec<i32>> {
    let mut text = String::new();
    fs::File::open(status_file)?.read_to_string(&mut text)?;
    let line = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let line = line.ok_or_else(|| io::Error::other("no NSpid in /proc/PID/status"))?;
    let parsed = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>();
    parsed.map_err(io::Error::other)
}
