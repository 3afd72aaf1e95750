//! The packages of a server and its libraries, and the tree that they are unpacked into.

use std::fs;
use std::path::Path;

use crate::apt::Apt;
use crate::dpkg;
use crate::error::{Error, file};
use crate::files;

/// Returns the packages of the server and its client programs.
pub(crate) fn of_server(major: u32) -> [String; 2] {
    [
        format!("postgresql-{major}"),
        format!("postgresql-client-{major}"),
    ]
}

/// Downloads packages and unpacks them into `tree`.
pub(crate) fn unpack(apt: &Apt, names: &[String], work: &Path, tree: &Path) -> Result<(), Error> {
    if names.is_empty() {
        return Ok(());
    }
    for archive in apt.download(names, &work.join("archives"))? {
        dpkg::unpack(&archive, tree)?;
        fs::remove_file(&archive).map_err(file("removing", &archive))?;
    }
    Ok(())
}

/// Copies an installed package's files from the host into `tree`.
pub(crate) fn copy_installed(name: &str, tree: &Path) -> Result<(), Error> {
    for path in dpkg::files_of(name)? {
        // A system may leave out files of its packages; directories are created with what is in them.
        let is_file = fs::metadata(&path).map_or(path.is_symlink(), |found| !found.is_dir());
        if is_file {
            let target = files::below(tree, &path);
            files::copy(&path, &target)?;
        }
    }
    Ok(())
}
