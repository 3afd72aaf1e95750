//! Creates mount points for volumes below read-only host directories such as `/usr`: replaces the directory by a tmpfs
//! with the host's entries bind-mounted into it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use super::rootfs::{Access, HOST_DIRS, bind_mount, remount_read_only};

/// Directories of a root file system that have been replaced by a writable tmpfs.
pub(super) struct WritableDirs<'a> {
    root: &'a Path,
    replaced: Vec<PathBuf>,
}

impl<'a> WritableDirs<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self {
            root,
            replaced: Vec::new(),
        }
    }

    /// Creates a directory and its parents.
    pub(super) fn create_dir_all(&mut self, target: &Path) -> io::Result<()> {
        match fs::create_dir_all(target) {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                self.replace_parent(target)?;
                fs::create_dir_all(target)
            }
            result => result,
        }
    }

    /// Creates a file and its parent directories, if the file does not exist.
    pub(super) fn create_file(&mut self, target: &Path) -> io::Result<()> {
        if let Some(dir) = target.parent() {
            self.create_dir_all(dir)?;
        }
        if target.exists() {
            return Ok(());
        }
        match File::create(target) {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                self.replace_parent(target)?;
                File::create(target).map(drop)
            }
            result => result.map(drop),
        }
    }

    /// Replaces the nearest existing parent directory of `target`, if it is a host directory.
    fn replace_parent(&mut self, target: &Path) -> io::Result<()> {
        let mut parents = target.ancestors().skip(1);
        let dir = parents.find(|dir| dir.is_dir()).unwrap_or(self.root);
        let inside = dir.strip_prefix(self.root).map_err(io::Error::other)?;
        let first = inside.components().next().map(|first| first.as_os_str());
        if !first.is_some_and(|first| HOST_DIRS.iter().any(|name| first == *name)) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        // Visible because this runs before the pivot.
        let source = Path::new("/").join(inside);
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("tmpfs"), dir, Some("tmpfs"), flags, Some("mode=755"))?;
        for entry in fs::read_dir(&source)? {
            let entry = entry?;
            link_or_bind(&entry, &dir.join(entry.file_name()))?;
        }
        self.replaced.push(dir.to_owned());
        Ok(())
    }

    /// Makes the replaced directories read-only again.
    pub(super) fn remount_read_only(self) -> io::Result<()> {
        self.replaced
            .iter()
            .try_for_each(|dir| remount_read_only(dir))
    }
}

fn link_or_bind(entry: &fs::DirEntry, target: &Path) -> io::Result<()> {
    let (source, kind) = (entry.path(), entry.file_type()?);
    if kind.is_symlink() {
        return symlink(fs::read_link(source)?, target);
    }
    if kind.is_dir() {
        fs::create_dir(target)?;
    } else {
        File::create(target)?;
    }
    bind_mount(&source, target, Access::ReadOnly)
}
