//! Packages of a server and its libraries, and the tree of their files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::apt::Apt;
use crate::dpkg;
use crate::error::{Error, file};
use crate::files;

/// Directory of the documentation of all packages.
const DOCUMENTATION: &str = "usr/share/doc";

/// Package of each file and link in a tree, by the path below it.
pub(crate) type Owners = BTreeMap<PathBuf, String>;

/// Returns the packages of the server and its client programs.
pub(crate) fn of_server(major: u32) -> [String; 2] {
    [
        format!("postgresql-{major}"),
        format!("postgresql-client-{major}"),
    ]
}

/// Path of a package's copyright file below `root`.
pub(crate) fn copyright(root: &Path, name: &str) -> PathBuf {
    root.join(DOCUMENTATION).join(name).join("copyright")
}

/// Downloads packages and unpacks them into `tree`.
pub(crate) fn unpack(
    apt: &Apt,
    names: &[String],
    work: &Path,
    tree: &Path,
) -> Result<Owners, Error> {
    let mut owners = Owners::new();
    if names.is_empty() {
        return Ok(owners);
    }
    for archive in apt.download(names, &work.join("archives"))? {
        let name = dpkg::package_of(&archive)?;
        let paths = dpkg::unpack(&archive, tree)?;
        owners.extend(paths.into_iter().map(|path| (path, name.clone())));
        fs::remove_file(&archive).map_err(file("removing", &archive))?;
    }
    Ok(owners)
}

/// Copies an installed package's files from the host into `tree`.
///
/// A copyright file is copied through the host's links, because its package may not be copied.
pub(crate) fn copy_installed(name: &str, tree: &Path) -> Result<Owners, Error> {
    let mut owners = Owners::new();
    for path in dpkg::files_of(name)? {
        // A system may exclude files of its packages; directories are created with their files.
        let is_file = fs::metadata(&path).map_or(path.is_symlink(), |found| !found.is_dir());
        if is_file {
            let target = files::below(tree, &path);
            files::copy(&path, &target)?;
            let below = path.strip_prefix("/").unwrap_or(&path);
            owners.insert(below.to_owned(), name.to_owned());
        }
    }
    let copyright = copyright(Path::new("/"), name);
    if copyright.is_file() {
        let dir = tree.join(DOCUMENTATION).join(name);
        files::copy_resolved(&copyright, &dir)?;
    }
    Ok(owners)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `libgcc-s1` is part of every Debian with apt, and its documentation is a link to that of `gcc-N-base`.
    #[test]
    fn installed_package_owns_its_files_and_has_its_copyright_file_copied_through_links() {
        if !test_support::require(test_support::Requirement::Apt) {
            return;
        }
        let tree = tempfile::tempdir().unwrap();
        let owners = copy_installed("libgcc-s1", tree.path()).unwrap();
        let is_library = |path: &&PathBuf| path.ends_with("libgcc_s.so.1");
        let library = owners.keys().find(is_library).unwrap();
        assert!(tree.path().join(library).is_file());
        assert_eq!(owners[library], "libgcc-s1");
        let copied = fs::read(copyright(tree.path(), "libgcc-s1")).unwrap();
        assert_eq!(
            copied,
            fs::read(copyright(Path::new("/"), "libgcc-s1")).unwrap()
        );
        assert!(!tree.path().join("usr/share/doc/libgcc-s1").is_symlink());
    }
}
