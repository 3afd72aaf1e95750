//! Copyright files of the packages whose files the image contains.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::{Error, file};
use crate::files;
use crate::packages::{self, Owners};

/// Texts of the licences that copyright files refer to, in every Debian.
const LICENCES: &str = "usr/share/common-licenses";

/// Returns the packages of files of `tree`; a link counts as its target.
pub(super) fn owners_of(
    paths: &BTreeSet<PathBuf>,
    tree: &Path,
    owners: &Owners,
) -> Result<BTreeSet<String>, Error> {
    // Paths without links, as those of the files will be.
    let tree = tree.canonicalize().map_err(file("reading", tree))?;
    let owner = |path: &PathBuf| {
        let resolved = path.canonicalize().map_err(file("reading", path))?;
        let below = resolved.strip_prefix(&tree).unwrap_or(&resolved);
        let package = owners.get(below).cloned();
        package.ok_or_else(|| Error::NoOwner(below.to_owned()))
    };
    paths.iter().map(owner).collect()
}

/// Copies the copyright files of packages from `tree` into `root`, and the licences of the host that they refer to.
pub(super) fn copy(names: &BTreeSet<String>, tree: &Path, root: &Path) -> Result<(), Error> {
    copy_files(names, tree, root)?;
    files::copy_tree(&Path::new("/").join(LICENCES), &root.join(LICENCES))
}

fn copy_files(names: &BTreeSet<String>, tree: &Path, root: &Path) -> Result<(), Error> {
    for name in names {
        let source = packages::copyright(tree, name);
        if !source.is_file() {
            let package = name.clone();
            return Err(Error::NoCopyright { package });
        }
        let target = packages::copyright(root, name);
        files::copy_resolved(&source, target.parent().unwrap_or(root))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
