//! Copying of files with their permissions; symbolic links are copied as links.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::error::{Error, file};

/// Returns the path of `path`, which may be absolute, below `root`.
pub(crate) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Copies a file or a symbolic link; creates the directories above `target` and replaces an existing file.
pub(crate) fn copy(source: &Path, target: &Path) -> Result<(), Error> {
    let copied = || {
        if let Some(dir) = target.parent() {
            fs::create_dir_all(dir)?;
        }
        if target.is_symlink() {
            fs::remove_file(target)?;
        }
        if source.is_symlink() {
            return symlink(fs::read_link(source)?, target);
        }
        fs::copy(source, target).map(drop)
    };
    copied().map_err(file("copying", source))
}

/// Copies the file that `source` leads to, by its own name, into the directory `dir`.
pub(crate) fn copy_resolved(source: &Path, dir: &Path) -> Result<(), Error> {
    let name = source.file_name().unwrap_or_default();
    let resolved = source.canonicalize().map_err(file("reading", source))?;
    copy(&resolved, &dir.join(name))
}

/// Copies a directory with everything below it.
pub(crate) fn copy_tree(source: &Path, target: &Path) -> Result<(), Error> {
    fs::create_dir_all(target).map_err(file("creating", target))?;
    for entry in entries(source)? {
        let copy_of = target.join(entry.file_name().unwrap_or_default());
        if entry.is_dir() && !entry.is_symlink() {
            copy_tree(&entry, &copy_of)?;
        } else {
            copy(&entry, &copy_of)?;
        }
    }
    Ok(())
}

/// Returns the sorted paths in a directory.
pub(crate) fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = || {
        let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
        let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    read().map_err(file("reading", dir))
}

/// Removes a file, or a directory with everything below it; a path that does not exist is not an error.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file("removing", path)(error)),
        _ => Ok(()),
    }
}

/// Sets a mode, such as 0o755.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(file("setting the mode of", path))
}

/// Makes `root` and everything below it readable for all users, and writable only for the owner.
pub(crate) fn open_to_all(root: &Path) -> Result<(), Error> {
    for path in entries(root)? {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            open_to_all(&path)?;
        } else {
            let metadata = path.metadata().map_err(file("reading", &path))?;
            let owner = metadata.permissions().mode() & 0o700;
            set_mode(&path, owner | (owner & 0o500) >> 3 | (owner & 0o500) >> 6)?;
        }
    }
    set_mode(root, 0o755)
}
