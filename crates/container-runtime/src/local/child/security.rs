//! Default restrictions of a container: capabilities, read-only and masked paths of `/proc`, as in the OCI runtime spec.
//!
//! They matter where the node runs as root. Without them a container could create device files or set the kernel's core
//! dump path, and so escape to the host.

use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use super::rootfs::remount_read_only;

/// Default capabilities of container engines without `CAP_MKNOD`: no file system of a container honours device files.
const DEFAULT_CAPABILITIES: [CapabilitySet; 13] = [
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

/// `linux.readonlyPaths`, relative to `/proc`: settings of the whole host.
const READONLY_PATHS: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// `linux.maskedPaths`, relative to `/proc`: information about the host.
const MASKED_PATHS: [&str; 6] = [
    "kcore",
    "keys",
    "kmsg",
    "latency_stats",
    "sched_debug",
    "timer_list",
];

/// Removes all but the default capabilities from the bounding set, so that executed programs cannot gain them.
pub(super) fn drop_capabilities() -> io::Result<()> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if DEFAULT_CAPABILITIES.contains(&capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            // The number is above the kernel's last capability.
            Err(rustix::io::Errno::INVAL) => break,
            other => other?,
        }
    }
    Ok(())
}

/// Makes the read-only paths of `proc` read-only and hides the masked ones.
pub(super) fn restrict_proc(proc: &Path) -> io::Result<()> {
    let none: Option<&str> = None;
    for name in READONLY_PATHS {
        let path = proc.join(name);
        match mount(
            Some(&path),
            &path,
            none,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            none,
        ) {
            Ok(()) => remount_read_only(&path)?,
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for name in MASKED_PATHS {
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
