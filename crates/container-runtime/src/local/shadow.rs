//! Places for volumes in the machine's own folders, which nobody may write to: such a folder becomes one of the container's,
//! with everything that is in the machine's seen in it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use super::root::{SHARED, bind, read_only};

/// The folders of a root that have become the container's.
pub(super) struct Shadows<'a> {
    root: &'a Path,
    made: Vec<PathBuf>,
}

impl<'a> Shadows<'a> {
    pub(super) fn of(root: &'a Path) -> Self {
        Self {
            root,
            made: Vec::new(),
        }
    }

    /// Makes a folder, and those above it.
    pub(super) fn create_dir_all(&mut self, target: &Path) -> io::Result<()> {
        match fs::create_dir_all(target) {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                self.replace(target)?;
                fs::create_dir_all(target)
            }
            made => made,
        }
    }

    /// Makes a file where there is none, and the folders above it.
    pub(super) fn create(&mut self, target: &Path) -> io::Result<()> {
        if let Some(folder) = target.parent() {
            self.create_dir_all(folder)?;
        }
        if target.exists() {
            return Ok(());
        }
        match File::create(target) {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                self.replace(target)?;
                File::create(target).map(drop)
            }
            made => made.map(drop),
        }
    }

    /// Replaces the lowest folder above a path that there is, if it is one of the machine's.
    fn replace(&mut self, target: &Path) -> io::Result<()> {
        let mut above = target.ancestors().skip(1);
        let folder = above.find(|folder| folder.is_dir()).unwrap_or(self.root);
        let inside = folder.strip_prefix(self.root).map_err(io::Error::other)?;
        let first = inside.components().next().map(|first| first.as_os_str());
        if !first.is_some_and(|first| SHARED.iter().any(|shared| first == *shared)) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        // This is done before the root becomes the process's own.
        let source = Path::new("/").join(inside);
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("tmpfs"),
            folder,
            Some("tmpfs"),
            flags,
            Some("mode=755"),
        )?;
        for entry in fs::read_dir(&source)? {
            let entry = entry?;
            show(&entry, &folder.join(entry.file_name()))?;
        }
        self.made.push(folder.to_owned());
        Ok(())
    }

    /// Has them refuse writes like the machine's.
    pub(super) fn seal(self) -> io::Result<()> {
        self.made.iter().try_for_each(|folder| read_only(folder))
    }
}

fn show(entry: &fs::DirEntry, target: &Path) -> io::Result<()> {
    let (source, kind) = (entry.path(), entry.file_type()?);
    if kind.is_symlink() {
        return symlink(fs::read_link(source)?, target);
    }
    if kind.is_dir() {
        fs::create_dir(target)?;
    } else {
        File::create(target)?;
    }
    bind(&source, target, true)
}
