//! Volumes of files in the layout of the kubelet's `AtomicWriter`: each version in a directory of its own, the symbolic
//! link `..data` to the current one, and links through `..data` to its entries, so that all files change together.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::volumes::{RO_MASK, join_below, set_volume_ownership};
use crate::Files;

/// Symbolic link to the current version.
const DATA: &str = "..data";
/// Name of the new link before it is renamed to `..data`.
const DATA_TMP: &str = "..data_tmp";

/// Writes a new version of a volume's files, owned by `fs_group` if it is set, and removes the previous one.
pub(super) fn write(volume: &Path, files: &Files, fs_group: Option<u32>) -> io::Result<()> {
    let name = format!("..{}", uuid::Uuid::new_v4().simple());
    let version = volume.join(&name);
    fs::create_dir(&version)?;
    write_files(&version, files)?;
    if let Some(group) = fs_group {
        set_volume_ownership(&version, group, RO_MASK)?;
    }
    let previous = current(volume).ok();
    symlink(&name, volume.join(DATA_TMP))?;
    fs::rename(volume.join(DATA_TMP), volume.join(DATA))?;
    sync_symlinks(volume, files)?;
    previous.map_or(Ok(()), fs::remove_dir_all)
}

/// Returns the directory of the current version.
pub(super) fn current(volume: &Path) -> io::Result<PathBuf> {
    Ok(volume.join(fs::read_link(volume.join(DATA))?))
}

fn write_files(version: &Path, files: &Files) -> io::Result<()> {
    for (path, (content, mode)) in files {
        let path = join_below(version, path)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode & 0o777))?;
    }
    Ok(())
}

/// Creates the missing links to top-level entries of `..data` and removes the obsolete ones.
fn sync_symlinks(volume: &Path, files: &Files) -> io::Result<()> {
    let top_level = |path: &String| path.split('/').next().map(str::to_owned);
    let mut missing: BTreeSet<String> = files.keys().filter_map(top_level).collect();
    for entry in fs::read_dir(volume)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !missing.remove(&name) && !name.starts_with("..") {
            fs::remove_file(volume.join(name))?;
        }
    }
    for name in missing {
        symlink(Path::new(DATA).join(&name), volume.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(given: &[(&str, &str)]) -> Files {
        let file = |(path, text): &(&str, &str)| {
            let content = text.as_bytes().to_vec().into();
            ((*path).to_owned(), (content, 0o640))
        };
        given.iter().map(file).collect()
    }

    /// Returns the entries that are not hidden, as `ls` does.
    fn visible_entries(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    #[test]
    fn new_version_replaces_the_previous_one() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path();
        write(
            volume,
            &files(&[("a", "1"), ("b/c", "2"), ("b/d", "3")]),
            None,
        )
        .unwrap();
        let first = current(volume).unwrap();
        assert_eq!(visible_entries(volume), ["a", "b"]);
        assert_eq!(fs::read_to_string(volume.join("b/c")).unwrap(), "2");
        let mode = fs::metadata(volume.join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);

        write(volume, &files(&[("a", "4"), ("e", "5")]), None).unwrap();
        assert_eq!(visible_entries(volume), ["a", "e"]);
        assert_eq!(fs::read_to_string(volume.join("a")).unwrap(), "4");
        assert!(!first.exists(), "the first version is not removed");
        // The version, `..data` and two links.
        assert_eq!(fs::read_dir(volume).unwrap().count(), 4);

        write(volume, &Files::new(), None).unwrap();
        assert!(visible_entries(volume).is_empty());
    }
}
