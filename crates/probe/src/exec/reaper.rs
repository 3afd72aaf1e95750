//! Reaping of orphans. Processes that exec commands leave behind are reparented to PID 1 of the container, which must reap
//! them.
//!
//! The commands themselves are not reaped here: [`probe`](super::probe) waits for them and needs their exit codes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// PIDs of the running exec commands. `None` unless a [`Reaper`] exists.
static CHILDREN: Mutex<Option<BTreeMap<i32, Waiter>>> = Mutex::new(None);

/// The part of this process that waits for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiter {
    /// The attempt that started it.
    Attempt,
    /// tokio's own reaper, because the attempt was dropped.
    Runtime,
}

/// Lock on the tracked commands. It is held while a command starts: an untracked child is taken for an orphan.
pub(super) struct TrackedChildren(MutexGuard<'static, Option<BTreeMap<i32, Waiter>>>);

impl TrackedChildren {
    pub(super) fn lock() -> Self {
        Self(CHILDREN.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn track(&mut self, pid: i32) {
        self.insert(pid, Waiter::Attempt);
    }

    /// Leaves the command to the runtime's reaper.
    pub(super) fn detach(&mut self, pid: i32) {
        self.insert(pid, Waiter::Runtime);
    }

    fn insert(&mut self, pid: i32, waiter: Waiter) {
        if let Some(children) = self.0.as_mut() {
            children.insert(pid, waiter);
        }
    }

    pub(super) fn untrack(&mut self, pid: i32) {
        if let Some(children) = self.0.as_mut() {
            children.remove(&pid);
        }
    }
}

/// Reaps orphans, in a process whose only other children are commands of [`probe`](super::probe).
#[derive(Debug)]
pub struct Reaper(());

impl Reaper {
    /// Starts to track the commands of exec probes. None may have been started before.
    #[must_use]
    pub fn new() -> Self {
        TrackedChildren::lock().0.get_or_insert_default();
        Self(())
    }

    /// Reaps every exited child of this process that is not a tracked command. Returns their number.
    #[must_use]
    pub fn reap(&self) -> usize {
        let mut tracked = TrackedChildren::lock();
        let tracked = tracked.0.get_or_insert_default();
        let children = list_children();
        // After the runtime has reaped a detached command, its PID may be reused.
        tracked.retain(|pid, waiter| *waiter == Waiter::Attempt || children.contains_key(pid));
        let orphans = children
            .into_iter()
            .filter(|(pid, exited)| *exited && !tracked.contains_key(pid));
        let reaped = orphans.filter(|(pid, _)| {
            let status = waitpid(Pid::from_raw(*pid), Some(WaitPidFlag::WNOHANG));
            status.is_ok_and(|status| status != WaitStatus::StillAlive)
        });
        reaped.count()
    }
}

impl Default for Reaper {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the children of this process by PID; `true` if the child has exited and is not reaped.
fn list_children() -> BTreeMap<i32, bool> {
    let own = std::process::id();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (parent, exited) = parse_stat(&stat)?;
        (parent == own).then_some((pid, exited))
    })
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
    use super::parse_stat;

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
