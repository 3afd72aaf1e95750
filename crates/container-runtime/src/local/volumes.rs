//! A pod's volumes as folders of the node.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::unistd::{Gid, chown};

use super::files;
use super::user::explain;
use crate::VolumeSource;

/// What the owner and the group of a volume's files may at least, by whether it can be written to (SetVolumeOwnership).
pub(super) const READ: u32 = 0o440;
const READ_AND_WRITE: u32 = 0o660;
/// What they may with folders beside it: go into them, and have what is made there belong to the same group.
const FOLDER: u32 = 0o2110;

/// Makes a volume in a folder that is not there yet, for `group` if there is one.
pub(super) fn make(folder: &Path, source: &VolumeSource, group: Option<u32>) -> io::Result<()> {
    fs::create_dir(folder)?;
    let may = match source {
        VolumeSource::EmptyDir { size_limit } => {
            empty(folder, *size_limit)?;
            READ_AND_WRITE
        }
        VolumeSource::Files(_) => READ,
    };
    if let Some(group) = group {
        give_to(folder, group, may)?;
    }
    match source {
        VolumeSource::EmptyDir { .. } => Ok(()),
        VolumeSource::Files(files) => files::write(folder, files, group),
    }
}

/// An empty folder for everybody, bounded by a file system of its own where it has a limit.
fn empty(folder: &Path, limit: Option<u64>) -> io::Result<()> {
    if let Some(limit) = limit {
        let size = format!("size={limit},mode=777");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("tmpfs"),
            folder,
            Some("tmpfs"),
            flags,
            Some(size.as_str()),
        )?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777))
}

pub(super) fn below(folder: &Path, path: &str) -> io::Result<PathBuf> {
    let mut below = folder.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => below.push(name),
            Component::CurDir => {}
            _ => {
                return Err(io::Error::other(format!(
                    "the path {path:?} leaves its volume"
                )));
            }
        }
    }
    Ok(below)
}

/// Gives a folder and all in it to a group.
pub(super) fn give_to(path: &Path, group: u32, may: u32) -> io::Result<()> {
    match chown(path, None, Some(Gid::from_raw(group))) {
        // Where only one user is mapped there are no other groups, and everything belongs to the one that runs.
        Err(Errno::EINVAL) => return Ok(()),
        owned => owned.map_err(explain(format!("giving a volume to group {group}")))?,
    }
    let metadata = fs::metadata(path)?;
    let folder = if metadata.is_dir() { FOLDER } else { 0 };
    let mode = metadata.mode() & 0o7777 | may | folder;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            give_to(&entry?.path(), group, may)?;
        }
    }
    Ok(())
}
