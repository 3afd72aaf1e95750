//! Finds a process in the namespace that is shared with it, and signals that process and no other.
//!
//! A number may belong to another process by the time it is used, so the process is held by a descriptor, looked at once
//! more, and signalled through the descriptor.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::spec::Process;

/// A signal that nobody got.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignalError {
    #[error("cannot read {path}: {error}")]
    Proc {
        path: &'static str,
        error: io::Error,
    },
    #[error(
        "{0} is not to be seen: it does not run, the pod does not set shareProcessNamespace, or it runs as another user"
    )]
    NoProcess(Process),
    #[error("cannot signal process {pid}: {error}; the sidecar has to run as the same user")]
    Refused { pid: i32, error: io::Error },
}

/// Signals every process that fits, but not the children of one that does. Says whom.
pub(super) fn signal(process: &Process, number: i32) -> Result<Vec<i32>, SignalError> {
    let finder = Finder::new(process)?;
    let found = finder.all()?;
    let mut signalled = Vec::new();
    for pid in &found {
        let parent = status(*pid, "PPid:");
        if parent.is_some_and(|parent| found.contains(&parent)) {
            continue;
        }
        if send(&finder, *pid, number)? {
            signalled.push(*pid);
        }
    }
    if signalled.is_empty() {
        return Err(SignalError::NoProcess(process.clone()));
    }
    Ok(signalled)
}

/// False if it is gone.
fn send(finder: &Finder<'_>, number: i32, signal: i32) -> Result<bool, SignalError> {
    let Some((pid, signal)) = Pid::from_raw(number).zip(Signal::from_named_raw(signal)) else {
        return Ok(false);
    };
    let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else {
        return Ok(false);
    };
    if !finder.fits(number) {
        return Ok(false);
    }
    match pidfd_send_signal(&held, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(SignalError::Refused {
            pid: number,
            error: error.into(),
        }),
    }
}

struct Finder<'a> {
    process: &'a Process,
    /// The sockets that listen at the port.
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

    fn all(&self) -> Result<Vec<i32>, SignalError> {
        let path = "/proc";
        let entries = fs::read_dir(path).map_err(|error| SignalError::Proc { path, error })?;
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let numbers = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Ok(numbers
            .filter(|pid| *pid != own && self.fits(*pid))
            .collect())
    }

    fn fits(&self, pid: i32) -> bool {
        match self.process {
            Process::Name(name) => comm(pid).is_some_and(|comm| same_name(&comm, name)),
            Process::Executable(path) => program(pid).is_some_and(|program| program == *path),
            Process::Port(_) => self.holds_a_socket(pid),
        }
    }

    fn holds_a_socket(&self, pid: i32) -> bool {
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

/// The kernel keeps fifteen bytes of a name.
fn same_name(comm: &str, name: &str) -> bool {
    const KEPT: usize = 15;
    comm == name || (name.len() > KEPT && name.as_bytes().get(..KEPT) == Some(comm.as_bytes()))
}

/// The program, or what it was called as where the kernel does not say.
fn program(pid: i32) -> Option<PathBuf> {
    if let Ok(path) = fs::read_link(format!("/proc/{pid}/exe")) {
        let text = path.to_str()?;
        return Some(Path::new(text.strip_suffix(" (deleted)").unwrap_or(text)).to_owned());
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = line.split(|byte| *byte == 0).next()?;
    Some(PathBuf::from(std::str::from_utf8(first).ok()?))
}

/// A number of `/proc/PID/status`.
fn status(pid: i32, field: &str) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.trim().parse().ok()
}

/// The sockets of a table of the kernel's that listen at `port`, as `/proc/PID/fd` names them.
fn listening(table: &str, port: u16) -> impl Iterator<Item = PathBuf> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).filter_map(move |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let fits = u16::from_str_radix(local, 16) == Ok(port) && *fields.get(3)? == LISTEN;
        let inode = fields.get(9).filter(|_| fits)?;
        Some(PathBuf::from(format!("socket:[{inode}]")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_that_listen_at_the_port_count() {
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
    fn a_long_name_fits_by_what_the_kernel_keeps_of_it() {
        for (comm, name, expected) in [
            ("numbers-api", "numbers-api", true),
            ("numbers-api", "numbers", false),
            ("a-name-that-is-", "a-name-that-is-long", true),
            ("a-name-that", "a-name-that-is-long", false),
        ] {
            assert_eq!(same_name(comm, name), expected, "{name}");
        }
    }
}
