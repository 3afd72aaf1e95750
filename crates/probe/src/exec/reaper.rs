//! Processes orphaned by commands: they are reparented to PID 1 of the container or to a subreaper, which kills and reaps them.
//!
//! TrackedChildren of commands are not reaped here: their starter waits for them and reads their exit codes. Each command has a marker
//! in its environment, which its descendants inherit. An orphan is killed unless its marker is that of a running command.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::Notify;

/// Time after which an orphan with an empty environment is killed.
const SUSPECT_DELAY: Duration = Duration::from_millis(100);

/// Environment variable with the number of a command.
const MARKER: &str = "PROBE_COMMAND";

/// A running command.
#[derive(Clone, Copy, Debug)]
struct TrackedChild {
    /// `true` if only the runtime still waits for it.
    detached: bool,
    marker: u64,
}

/// PIDs of running commands. `None` if this process has no [`Reaper`].
static CHILDREN: Mutex<Option<BTreeMap<i32, TrackedChild>>> = Mutex::new(None);
static NEXT_MARKER: AtomicU64 = AtomicU64::new(1);
/// Notified when a command has finished.
static FINISHED: Notify = Notify::const_new();

/// Lock on the tracked commands. It is held while a command starts: an untracked child is taken for an orphan.
pub(super) struct TrackedChildren(MutexGuard<'static, Option<BTreeMap<i32, TrackedChild>>>);

impl TrackedChildren {
    pub(super) fn lock() -> Self {
        Self(CHILDREN.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the marker of a command, if there is a reaper.
    pub(super) fn mark(&self, command: &mut Command) -> u64 {
        let marker = NEXT_MARKER.fetch_add(1, Ordering::Relaxed);
        if self.0.is_some() {
            command.env(MARKER, marker.to_string());
        }
        marker
    }

    pub(super) fn track(&mut self, pid: i32, marker: u64) {
        let detached = false;
        if let Some(tracked) = self.0.as_mut() {
            tracked.insert(pid, TrackedChild { detached, marker });
        }
    }

    pub(super) fn detach(&mut self, pid: i32) {
        if let Some(child) = self.0.as_mut().and_then(|tracked| tracked.get_mut(&pid)) {
            child.detached = true;
        }
        FINISHED.notify_one();
    }

    pub(super) fn untrack(&mut self, pid: i32) {
        if let Some(tracked) = self.0.as_mut() {
            tracked.remove(&pid);
        }
        FINISHED.notify_one();
    }
}

/// Reaps orphans, in a process whose only other children are commands of [`probe`](super::probe).
#[derive(Debug)]
pub struct Reaper {
    /// Orphans with an empty environment, and the time at which each was found.
    suspects: Mutex<BTreeMap<i32, Instant>>,
}

impl Reaper {
    /// Starts to track the commands of exec probes. None may have been started before.
    #[must_use]
    pub fn new() -> Self {
        TrackedChildren::lock().0.get_or_insert_default();
        Self {
            suspects: Mutex::default(),
        }
    }

    /// Reaps every exited child of this process that is not a tracked command. Returns their number.
    #[must_use]
    pub fn reap(&self) -> usize {
        let mut tracked = TrackedChildren::lock();
        let tracked = tracked.0.get_or_insert_default();
        let children = list_children();
        // After the runtime has reaped a detached command, its PID may be reused.
        tracked.retain(|pid, child| !child.detached || children.contains_key(pid));
        let orphans = children
            .into_iter()
            .filter(|(pid, exited)| *exited && !tracked.contains_key(pid));
        let reaped = orphans.filter(|(pid, _)| {
            let status = waitpid(Pid::from_raw(*pid), Some(WaitPidFlag::WNOHANG));
            status.is_ok_and(|status| status != WaitStatus::StillAlive)
        });
        reaped.count()
    }

    /// Kills the orphans of finished commands; returns the number of children that are left, running commands included.
    ///
    /// Children of a killed orphan are reparented to this process, so call this again after its end.
    #[must_use]
    pub fn kill_orphans(&self) -> usize {
        let tracked = TrackedChildren::lock();
        let children = list_children();
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.retain(|pid, _| children.contains_key(pid));
        for (pid, has_exited) in &children {
            if *has_exited || !tracked.is_candidate(*pid) {
                continue;
            }
            let is_orphan = match marker(*pid) {
                Marker::Command(marker) => !tracked.is_running(marker),
                Marker::Missing => true,
                // The environment of a process is empty for a moment while it executes a program.
                Marker::Empty => {
                    let found_at = *suspects.entry(*pid).or_insert_with(Instant::now);
                    found_at.elapsed() >= SUSPECT_DELAY
                }
            };
            if is_orphan {
                // The PID cannot be reused before this process has reaped it.
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
        }
        children.len()
    }

    /// Waits until orphans with an empty environment may be killed; without any it never returns.
    pub async fn wait_for_suspects(&self) {
        let has_suspects = {
            let suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
            !suspects.is_empty()
        };
        if !has_suspects {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(SUSPECT_DELAY).await;
    }

    /// Waits until a command has finished.
    pub async fn wait_for_finished_command(&self) {
        FINISHED.notified().await;
    }
}

impl TrackedChildren {
    /// Returns `true` if a child is not the child of a command.
    fn is_candidate(&self, pid: i32) -> bool {
        self.0
            .as_ref()
            .is_some_and(|tracked| !tracked.contains_key(&pid))
    }

    fn is_running(&self, marker: u64) -> bool {
        let mut tracked = self.0.iter().flat_map(BTreeMap::values);
        tracked.any(|child| !child.detached && child.marker == marker)
    }
}

/// Marker in the environment of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Command(u64),
    Missing,
    /// The environment is empty or not readable.
    Empty,
}

fn marker(pid: i32) -> Marker {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    marker_in(&environment)
}

fn marker_in(environment: &[u8]) -> Marker {
    if environment.is_empty() {
        return Marker::Empty;
    }
    let mut variables = environment.split(|byte| *byte == 0);
    let value =
        variables.find_map(|variable| variable.strip_prefix(MARKER.as_bytes())?.strip_prefix(b"="));
    let number = value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    number.map_or(Marker::Missing, Marker::Command)
}

impl Default for Reaper {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the children of this process, and `true` for each one that has exited.
fn list_children() -> BTreeMap<i32, bool> {
    let own = std::process::id();
    let pids = listed_children().unwrap_or_else(all_processes);
    pids.into_iter()
        .filter_map(|pid: i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (parent, exited) = parse_stat(&stat)?;
            (parent == own).then_some((pid, exited))
        })
        .collect()
}

/// Returns the children by thread, or `None` if the kernel is built without `CONFIG_PROC_CHILDREN`.
fn listed_children() -> Option<Vec<i32>> {
    let mut pids = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
        let list = match std::fs::read_to_string(thread.path().join("children")) {
            Ok(list) => list,
            // The thread has exited.
            Err(_) if !thread.path().exists() => continue,
            Err(_) => return None,
        };
        pids.extend(
            list.split_whitespace()
                .filter_map(|pid| pid.parse::<i32>().ok()),
        );
    }
    Some(pids)
}

fn all_processes() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Parses parent and exit state of a line of `/proc/PID/stat`. The name in parentheses may itself contain parentheses.
fn parse_stat(stat: &str) -> Option<(u32, bool)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let exited = fields.next()? == "Z";
    Some((fields.next()?.parse().ok()?, exited))
}

#[cfg(test)]
mod tests {
    use super::{Marker, marker_in, parse_stat};

    #[test]
    fn marker_is_that_of_the_environment() {
        for (environment, expected) in [
            (&b""[..], Marker::Empty),
            (b"A=1\0", Marker::Missing),
            (b"XPROBE_COMMAND=1\0PROBE_COMMAND=x\0", Marker::Missing),
            (b"A=1\0PROBE_COMMAND=42\0B=2\0", Marker::Command(42)),
        ] {
            assert_eq!(marker_in(environment), expected);
        }
    }

    #[test]
    fn stat_line_with_parentheses_in_the_name_is_parsed() {
        for (stat, expected) in [
            ("7 (sh) Z 1 7 7 0 -1", Some((1, true))),
            ("7 (a) Z 9 (b) Z 1 7 7", Some((1, true))),
            ("7 (sh) S 1 7 7 0 -1", Some((1, false))),
            ("7 (sh) Z 12 7 7 0 -1", Some((12, true))),
            ("7 (x) Z 1) S 3 7 7", Some((3, false))),
            ("7 (sh) Z", None),
            ("", None),
        ] {
            assert_eq!(parse_stat(stat), expected, "{stat}");
        }
    }
}
