//! What commands leave behind falls to the first process of a container, which has to reap it: nobody else will.
//!
//! A command's leader is not touched: whoever started it waits for it, and has its exit code.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// The leaders that run, and whether nobody waits for one any more but the runtime. None where nobody reaps.
static LEADERS: Mutex<Option<BTreeMap<i32, bool>>> = Mutex::new(None);

/// Held while a command starts: until it is known, it would pass for an orphan.
pub(super) struct Leaders(MutexGuard<'static, Option<BTreeMap<i32, bool>>>);

impl Leaders {
    pub(super) fn lock() -> Self {
        Self(LEADERS.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn runs(&mut self, pid: i32) {
        self.note(pid, false);
    }

    pub(super) fn is_let_go(&mut self, pid: i32) {
        self.note(pid, true);
    }

    fn note(&mut self, pid: i32, let_go: bool) {
        if let Some(leaders) = self.0.as_mut() {
            leaders.insert(pid, let_go);
        }
    }

    pub(super) fn has_ended(&mut self, pid: i32) {
        if let Some(leaders) = self.0.as_mut() {
            leaders.remove(&pid);
        }
    }
}

/// Reaps orphans, for a process that starts others by [`probe`](super::probe) alone.
#[derive(Debug)]
pub struct Reaper(());

impl Reaper {
    /// Commands that start from now on are told from orphans; none may have been started before.
    #[must_use]
    pub fn new() -> Self {
        Leaders::lock().0.get_or_insert_default();
        Self(())
    }

    /// Reaps every child of this process that has ended and is no command's leader; says how many there were.
    #[must_use]
    pub fn reap(&self) -> usize {
        let mut leaders = Leaders::lock();
        let leaders = leaders.0.get_or_insert_default();
        let children = children();
        // One that was let go is the runtime's to reap. Once it has done that the number may be another process's.
        leaders.retain(|pid, let_go| !*let_go || children.contains_key(pid));
        let orphans = children
            .into_iter()
            .filter(|(pid, ended)| *ended && !leaders.contains_key(pid));
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

/// The children of this process, and whether each has ended.
fn children() -> BTreeMap<i32, bool> {
    let own = std::process::id();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (parent, ended) = parent_and_end(&stat)?;
        (parent == own).then_some((pid, ended))
    })
    .collect()
}

/// Of a line of `/proc/PID/stat`: the name in brackets may have brackets of its own.
fn parent_and_end(stat: &str) -> Option<(u32, bool)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let ended = fields.next()? == "Z";
    Some((fields.next()?.parse().ok()?, ended))
}

#[cfg(test)]
mod tests {
    use super::parent_and_end;

    #[test]
    fn a_process_has_a_parent_and_has_ended_or_not_whatever_it_is_called() {
        for (stat, expected) in [
            ("7 (sh) Z 1 7 7 0 -1", Some((1, true))),
            ("7 (a) Z 9 (b) Z 1 7 7", Some((1, true))),
            ("7 (sh) S 1 7 7 0 -1", Some((1, false))),
            ("7 (sh) Z 12 7 7 0 -1", Some((12, true))),
            ("7 (x) Z 1) S 3 7 7", Some((3, false))),
            ("7 (sh) Z", None),
            ("", None),
        ] {
            assert_eq!(parent_and_end(stat), expected, "{stat}");
        }
    }
}
