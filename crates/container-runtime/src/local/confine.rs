//! What a container may not do although its user may: the rights of a container engine's default, and the same view of
//! `/proc`.
//!
//! It matters where the node runs as root: without it a container could make device files or set where the kernel writes
//! its core dumps, and be anywhere on the machine.

use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use super::root::read_only;

/// What container engines leave to containers,
/// but the making of device files: a container of this node has no file system that honours them.
const KEPT: [CapabilitySet; 13] = [
    CapabilitySet::CHOWN,
    CapabilitySet::DAC_OVERRIDE,
    CapabilitySet::FSETID,
    CapabilitySet::FOWNER,
    CapabilitySet::NET_RAW,
    CapabilitySet::SETGID,
    CapabilitySet::SETUID,
    CapabilitySet::SETFCAP,
    CapabilitySet::SETPCAP,
    CapabilitySet::NET_BIND_SERVICE,
    CapabilitySet::SYS_CHROOT,
    CapabilitySet::KILL,
    CapabilitySet::AUDIT_WRITE,
];

/// Settings of the whole machine.
const READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// What tells of the machine more than a container should know.
const HIDDEN: [&str; 6] = [
    "kcore",
    "keys",
    "kmsg",
    "latency_stats",
    "sched_debug",
    "timer_list",
];

/// Programs that this process becomes or starts get no more than the rights that are kept.
pub(super) fn drop_rights() -> io::Result<()> {
    for number in 0..u64::BITS {
        let right = CapabilitySet::from_bits_retain(1 << number);
        if KEPT.contains(&right) {
            continue;
        }
        match remove_capability_from_bounding_set(right) {
            // The kernel knows no more of them.
            Err(rustix::io::Errno::INVAL) => break,
            other => other?,
        }
    }
    Ok(())
}

/// Takes from a container's `/proc` what is the machine's.
pub(super) fn confine_proc(proc: &Path) -> io::Result<()> {
    let none: Option<&str> = None;
    for name in READ_ONLY {
        let path = proc.join(name);
        match mount(
            Some(&path),
            &path,
            none,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            none,
        ) {
            Ok(()) => read_only(&path)?,
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for name in HIDDEN {
        match mount(
            Some("/dev/null"),
            &proc.join(name),
            none,
            MsFlags::MS_BIND,
            none,
        ) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
