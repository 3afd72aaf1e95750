//! Processes of a server: signals, exits and CPU time.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};

use super::Server;

impl Server {
    /// Kills the server and its sessions, and waits for their exit.
    pub fn kill(&self) {
        // A stopped server neither forks nor cleans up while its children are counted.
        self.freeze();
        let postmaster = self.pid();
        let all: Vec<Pid> = std::iter::once(postmaster).chain(self.children()).collect();
        let handles: Vec<_> = all.iter().filter_map(|pid| pidfd(*pid)).collect();
        for pid in &all {
            // The process may have exited.
            let _ = kill(*pid, Signal::SIGKILL);
        }
        // A new server does not start while an old process holds the shared memory.
        wait_for_exits(&handles);
        // Nor does it while the old process id exists, which lasts until the parent, another process, has waited for it.
        let socket = format!(".s.PGSQL.{}.lock", self.port);
        for lock in [self.data().join("postmaster.pid"), self.dir().join(socket)] {
            fs::remove_file(lock).unwrap();
        }
    }

    /// Stops the server with SIGSTOP: it keeps its port and does not respond.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Stops the server and its sessions with SIGSTOP.
    pub fn freeze_sessions(&self) {
        self.freeze();
        for pid in self.children() {
            kill(pid, Signal::SIGSTOP).unwrap();
        }
    }

    /// Waits until all children have exited but those of `background`, which [`Self::children`] returned before.
    pub fn wait_for_backends(&self, background: &[Pid]) {
        let children = self.children().into_iter();
        let backends = children.filter(|pid| !background.contains(pid));
        wait_for_exits(&backends.filter_map(pidfd).collect::<Vec<_>>());
    }

    /// Process ids of the postmaster's children.
    pub fn children(&self) -> Vec<Pid> {
        let postmaster = self.pid();
        let file = format!("/proc/{postmaster}/task/{postmaster}/children");
        let text = fs::read_to_string(file).unwrap();
        let pids = text
            .split_whitespace()
            .map(|pid| Pid::from_raw(pid.parse().unwrap()));
        pids.collect()
    }

    /// CPU time of the server and its sessions, including those that have exited.
    pub fn cpu(&self) -> Duration {
        // Fields are numbered as in proc(5). The process name in parentheses, field 2, may contain blanks.
        let ticks = |pid: Pid, fields: &[usize]| -> u64 {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let stat = stat.rsplit(')').next().unwrap_or_default();
            let stat: Vec<&str> = stat.split_whitespace().collect();
            let number = |field: &usize| stat.get(field - 3)?.parse::<u64>().ok();
            fields.iter().filter_map(number).sum()
        };
        let alive: u64 = self
            .children()
            .iter()
            .map(|pid| ticks(*pid, &[14, 15]))
            .sum();
        let total = alive + ticks(self.pid(), &[14, 15, 16, 17]);
        let second = u32::try_from(rustix::param::clock_ticks_per_second()).unwrap();
        Duration::from_secs(total) / second
    }

    fn pid(&self) -> Pid {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        Pid::from_raw(file.lines().next().unwrap().parse().unwrap())
    }

    /// Continues the server and its sessions.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
        for pid in self.children() {
            // The process may have exited.
            let _ = kill(pid, Signal::SIGCONT);
        }
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }
}

/// Returns a descriptor that is readable after the process's exit, or `None` if it has exited.
fn pidfd(process: Pid) -> Option<OwnedFd> {
    let process = rustix::process::Pid::from_raw(process.as_raw())?;
    pidfd_open(process, PidfdFlags::empty()).ok()
}

fn wait_for_exits(processes: &[OwnedFd]) {
    for process in processes {
        let mut events = [PollFd::new(process, PollFlags::IN)];
        while poll(&mut events, None) == Err(Errno::INTR) {}
    }
}
