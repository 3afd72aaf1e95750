//! Volumes of a pod as directories of the node.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::unistd::{Gid, chown};

use super::atomic_writer;
use super::io_context;
use crate::VolumeSource;

/// Mode bits that `fsGroup` adds to the files of a read-only volume (`roMask` of the kubelet's `SetVolumeOwnership`).
pub(super) const RO_MASK: u32 = 0o440;
/// Mode bits that `fsGroup` adds to the files of a writable volume (`rwMask`).
const RW_MASK: u32 = 0o660;
/// Mode bits that `fsGroup` adds to directories (`execMask` and setgid: new files inherit the group).
const DIR_MASK: u32 = 0o2110;

/// Creates a volume in `dir`, which does not exist yet, owned by `fs_group` if it is set.
pub(super) fn create(dir: &Path, source: &VolumeSource, fs_group: Option<u32>) -> io::Result<()> {
    fs::create_dir(dir)?;
    let mask = match source {
        VolumeSource::EmptyDir { size_limit } => {
            prepare_empty_dir(dir, *size_limit)?;
            RW_MASK
        }
        VolumeSource::Files(_) => RO_MASK,
    };
    if let Some(group) = fs_group {
        set_volume_ownership(dir, group, mask)?;
    }
    match source {
        VolumeSource::EmptyDir { .. } => Ok(()),
        VolumeSource::Files(files) => atomic_writer::write(dir, files, fs_group),
    }
}

/// Makes `dir` world-writable, and mounts a tmpfs on it if its size is limited.
fn prepare_empty_dir(dir: &Path, size_limit: Option<u64>) -> io::Result<()> {
    if let Some(limit) = size_limit {
        let options = format!("size={limit},mode=777");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("tmpfs"),
            dir,
            Some("tmpfs"),
            flags,
            Some(options.as_str()),
        )?;
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777))
}

/// Joins a relative path without `..` to a directory.
pub(super) fn join_below(dir: &Path, path: &str) -> io::Result<PathBuf> {
    let mut joined = dir.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => joined.push(name),
            Component::CurDir => {}
            _ => {
                return Err(io::Error::other(format!(
                    "the path {path:?} leaves its volume"
                )));
            }
        }
    }
    Ok(joined)
}

/// Changes the group of a file or directory tree and adds the mode bits of `mask`.
pub(super) fn set_volume_ownership(path: &Path, group: u32, mask: u32) -> io::Result<()> {
    match chown(path, None, Some(Gid::from_raw(group))) {
        // In a user namespace that maps one user, every file belongs to that user, and no other group exists.
        Err(Errno::EINVAL) => return Ok(()),
        result => result.map_err(io_context(format!("changing a volume's group to {group}")))?,
    }
    let metadata = fs::metadata(path)?;
    let dir_mask = if metadata.is_dir() { DIR_MASK } else { 0 };
    let mode = metadata.mode() & 0o7777 | mask | dir_mask;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            set_volume_ownership(&entry?.path(), group, mask)?;
        }
    }
    Ok(())
}
