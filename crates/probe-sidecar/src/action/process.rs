//! Finds a process in the shared PID namespace and signals it.
//!
//! A PID may be reused between the search and the signal. So the process is opened as a pidfd, checked again, and signalled
//! through the pidfd.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use tokio::time::{Instant, sleep};

use crate::spec::Process;

/// A signal was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignalError {
    #[error("cannot read {path}: {error}")]
    Proc {
        path: &'static str,
        error: io::Error,
    },
    #[error(
        "{0} not found: it does not run, the pod does not set shareProcessNamespace, or it runs as another user"
    )]
    NoProcess(Process),
    #[error("cannot signal process {pid}: {error}; run the sidecar as the same user")]
    Refused { pid: i32, error: io::Error },
}

/// A process that was signalled.
pub(super) struct Signalled {
    pub(super) pid: i32,
    pidfd: OwnedFd,
}

/// Signals every matching process, except children of another one, and processes that the sidecar started.
pub(super) fn signal(process: &Process, number: i32) -> Result<Vec<Signalled>, SignalError> {
    let finder = Finder::new(process)?;
    let found = finder.find_all()?;
    let mut signalled = Vec::new();
    for pid in &found {
        let parent = status_field(*pid, "PPid:");
        if parent.is_some_and(|parent| found.contains(&parent)) {
            continue;
        }
        signalled.extend(send(&finder, *pid, number)?);
    }
    if signalled.is_empty() {
        return Err(SignalError::NoProcess(process.clone()));
    }
    Ok(signalled)
}

/// Signals a process; returns `None` if it has exited.
fn send(finder: &Finder<'_>, number: i32, signal: i32) -> Result<Option<Signalled>, SignalError> {
    let Some((pid, signal)) = Pid::from_raw(number).zip(Signal::from_named_raw(signal)) else {
        return Ok(None);
    };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return Ok(None);
    };
    if !finder.matches(number) {
        return Ok(None);
    }
    match pidfd_send_signal(&pidfd, signal) {
        Ok(()) => Ok(Some(Signalled { pid: number, pidfd })),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(SignalError::Refused {
            pid: number,
            error: error.into(),
        }),
    }
}

/// Interval of checks for the exit of a process. The safe interface of tokio cannot wait for a pidfd.
const EXIT_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Sends SIGKILL to the processes that have not exited after a time; returns their PIDs.
pub(super) async fn kill_remaining(mut processes: Vec<Signalled>, after: Duration) -> Vec<i32> {
    let deadline = Instant::now() + after;
    loop {
        processes.retain(|process| !has_exited(&process.pidfd));
        let now = Instant::now();
        if processes.is_empty() || now >= deadline {
            break;
        }
        sleep(EXIT_CHECK_INTERVAL.min(deadline - now)).await;
    }
    processes.retain(|process| pidfd_send_signal(&process.pidfd, Signal::KILL).is_ok());
    processes.iter().map(|process| process.pid).collect()
}

/// Returns `true` if a process has exited: its pidfd is readable then.
fn has_exited(pidfd: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Returns `true` if a process is `ancestor` or was started by it, directly or not.
fn is_descendant(pid: i32, ancestor: i32) -> bool {
    // The loop is limited because PIDs may be reused while it runs.
    let parents = std::iter::successors(Some(pid), |pid| status_field(*pid, "PPid:"));
    parents.take(64).any(|pid| pid == ancestor)
}

struct Finder<'a> {
    process: &'a Process,
    /// Sockets that listen on the port.
    sockets: HashSet<PathBuf>,
}

impl<'a> Finder<'a> {
    fn new(process: &'a Process) -> Result<Self, SignalError> {
        let mut sockets = HashSet::new();
        if let Process::Port(port) = process {
            for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
                match fs::read_to_string(path) {
                    Ok(table) => sockets.extend(listening(&table, *port)),
                    // A kernel without IPv6.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(SignalError::Proc { path, error }),
                }
            }
        }
        Ok(Self { process, sockets })
    }

    fn find_all(&self) -> Result<Vec<i32>, SignalError> {
        let path = "/proc";
        let entries = fs::read_dir(path).map_err(|error| SignalError::Proc { path, error })?;
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let numbers = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Ok(numbers
            .filter(|pid| self.matches(*pid) && !is_descendant(*pid, own))
            .collect())
    }

    fn matches(&self, pid: i32) -> bool {
        match self.process {
            Process::Name(name) => comm(pid).is_some_and(|comm| is_same_name(&comm, name)),
            Process::Executable(path) => {
                executable(pid).is_some_and(|executable| executable == *path)
            }
            Process::Port(_) => self.has_socket(pid),
        }
    }

    fn has_socket(&self, pid: i32) -> bool {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        entries
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|link| self.sockets.contains(&link))
    }
}

fn comm(pid: i32) -> Option<String> {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(comm.trim_end_matches('\n').to_owned())
}

/// Compares names; the kernel truncates them to 15 bytes.
fn is_same_name(comm: &str, name: &str) -> bool {
    const COMM_LEN: usize = 15;
    comm == name
        || (name.len() > COMM_LEN && name.as_bytes().get(..COMM_LEN) == Some(comm.as_bytes()))
}

/// Returns the executable, or the first argument if the link is not readable.
fn executable(pid: i32) -> Option<PathBuf> {
    if let Ok(path) = fs::read_link(format!("/proc/{pid}/exe")) {
        let text = path.to_str()?;
        return Some(Path::new(text.strip_suffix(" (deleted)").unwrap_or(text)).to_owned());
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = line.split(|byte| *byte == 0).next()?;
    Some(PathBuf::from(std::str::from_utf8(first).ok()?))
}

/// Returns a numeric field of `/proc/PID/status`.
fn status_field(pid: i32, field: &str) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.trim().parse().ok()
}

/// Returns the listening sockets of `/proc/net/tcp` on `port`, as named in `/proc/PID/fd`.
fn listening(table: &str, port: u16) -> impl Iterator<Item = PathBuf> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).filter_map(move |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let matches = u16::from_str_radix(local, 16) == Ok(port) && *fields.get(3)? == LISTEN;
        let inode = fields.get(9).filter(|_| matches)?;
        Some(PathBuf::from(format!("socket:[{inode}]")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_that_listen_on_the_port_match() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1\n\
            1: 0100007F:0051 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1\n\
            2: 0100007F:0050 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 333 1\n\
            3: broken\n";
        assert_eq!(
            listening(table, 80).collect::<Vec<_>>(),
            [PathBuf::from("socket:[111]")]
        );
    }

    #[test]
    fn long_name_matches_by_its_first_15_bytes() {
        for (comm, name, expected) in [
            ("numbers-api", "numbers-api", true),
            ("numbers-api", "numbers", false),
            ("a-name-that-is-", "a-name-that-is-long", true),
            ("a-name-that", "a-name-that-is-long", false),
        ] {
            assert_eq!(is_same_name(comm, name), expected, "{name}");
        }
    }
}
