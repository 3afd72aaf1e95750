//! Libraries that the server's programs and modules load.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{stdout, untranslated};
use crate::error::{Error, file};
use crate::{files, programs};

/// Copies the libraries that `server`'s files load, and their loader, from `tree` into `root`; returns their paths in `tree`.
pub(super) fn copy(tree: &Path, server: &Path, root: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let dirs = programs::library_dirs(tree)?;
    let loader = find_loader(&dirs, tree)?;
    let mut needed = BTreeSet::new();
    for path in find_loadable_files(server)? {
        let mut list = list_command(&loader, &dirs);
        needed.extend(libraries_in(&stdout(list.arg(&path))?)?);
    }
    let name = dirs
        .first()
        .and_then(|dir| dir.file_name())
        .unwrap_or_default();
    let target = root.join("usr/lib").join(name);
    needed
        .iter()
        .try_for_each(|library| files::copy_resolved(library, &target))?;
    let lib64 = root.join("lib64");
    fs::create_dir_all(&lib64).map_err(file("creating", &lib64))?;
    files::copy_resolved(&loader, &lib64)?;
    needed.insert(loader);
    Ok(needed)
}

/// Returns the loader of the packages, not the host's.
fn find_loader(dirs: &[PathBuf], tree: &Path) -> Result<PathBuf, Error> {
    for dir in dirs {
        let mut paths = files::entries(dir)?.into_iter();
        let is_loader = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("ld-linux") && path.is_file() && !path.is_symlink()
        };
        if let Some(loader) = paths.find(is_loader) {
            return Ok(loader);
        }
    }
    Err(Error::MissingLibraries(format!(
        "no loader below {}",
        tree.display()
    )))
}

/// Returns the executables and modules of the server.
fn find_loadable_files(server: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = files::entries(&server.join("bin"))?;
    let mut dirs = vec![server.join("lib")];
    while let Some(dir) = dirs.pop() {
        for path in files::entries(&dir)? {
            if path.is_dir() && !path.is_symlink() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "so")
                && !path.is_symlink()
            {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn list_command(loader: &Path, dirs: &[PathBuf]) -> Command {
    let path = std::env::join_paths(dirs).unwrap_or_default();
    let mut command = untranslated(&loader.to_string_lossy());
    command.arg("--library-path").arg(path).arg("--list");
    command
}

/// Returns the paths in `libpq.so.5 => /usr/lib/libpq.so.5 (0x…)`.
fn libraries_in(listed: &str) -> Result<BTreeSet<PathBuf>, Error> {
    let mut found = BTreeSet::new();
    for line in listed.lines() {
        let Some((name, target)) = line.split_once(" => ") else {
            continue;
        };
        if !target.starts_with('/') {
            return Err(Error::MissingLibraries(name.trim().to_owned()));
        }
        found.insert(PathBuf::from(target.split(" (").next().unwrap_or(target)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_listed_by_path_and_a_missing_one_is_an_error() {
        let text =
            "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /t/libc.so.6 (0x2)\n\t/lib64/ld.so (0x3)\n";
        let found: Vec<_> = libraries_in(text).unwrap().into_iter().collect();
        assert_eq!(found, [PathBuf::from("/t/libc.so.6")]);
        let error = libraries_in("\tlibx.so.1 => not found\n").unwrap_err();
        assert!(error.to_string().contains("libx.so.1"), "{error}");
    }
}
