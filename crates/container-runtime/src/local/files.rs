//! Volumes of files as the kubelet lays them out: every state in a folder of its own, `..data` that leads to the newest,
//! and links to what is in it, so that all of it changes at once.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::volumes::{READ, below, give_to};
use crate::Files;

/// The link to the newest state, and what becomes it.
const DATA: &str = "..data";
const NEXT: &str = "..data_tmp";

/// Makes a volume's files, for `group` if there is one; what was there goes.
pub(super) fn write(folder: &Path, files: &Files, group: Option<u32>) -> io::Result<()> {
    let name = format!("..{}", uuid::Uuid::new_v4().simple());
    let state = folder.join(&name);
    fs::create_dir(&state)?;
    fill(&state, files)?;
    if let Some(group) = group {
        give_to(&state, group, READ)?;
    }
    let before = newest(folder).ok();
    symlink(&name, folder.join(NEXT))?;
    fs::rename(folder.join(NEXT), folder.join(DATA))?;
    show(folder, files)?;
    before.map_or(Ok(()), fs::remove_dir_all)
}

/// Where the files are now.
pub(super) fn newest(folder: &Path) -> io::Result<PathBuf> {
    Ok(folder.join(fs::read_link(folder.join(DATA))?))
}

fn fill(state: &Path, files: &Files) -> io::Result<()> {
    for (path, (content, mode)) in files {
        let path = below(state, path)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode & 0o777))?;
    }
    Ok(())
}

/// Has a link for everything at the top of `..data`, and for nothing else.
fn show(folder: &Path, files: &Files) -> io::Result<()> {
    let top = |path: &String| path.split('/').next().map(str::to_owned);
    let mut missing: BTreeSet<String> = files.keys().filter_map(top).collect();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !missing.remove(&name) && !name.starts_with("..") {
            fs::remove_file(folder.join(name))?;
        }
    }
    for name in missing {
        symlink(Path::new(DATA).join(&name), folder.join(name))?;
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

    /// What `ls` shows without its hidden files.
    fn shown(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_state_takes_the_place_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        write(at, &files(&[("a", "1"), ("b/c", "2"), ("b/d", "3")]), None).unwrap();
        let first = newest(at).unwrap();
        assert_eq!(shown(at), ["a", "b"]);
        assert_eq!(fs::read_to_string(at.join("b/c")).unwrap(), "2");
        let mode = fs::metadata(at.join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);

        write(at, &files(&[("a", "4"), ("e", "5")]), None).unwrap();
        assert_eq!(shown(at), ["a", "e"]);
        assert_eq!(fs::read_to_string(at.join("a")).unwrap(), "4");
        assert!(!first.exists(), "the first state stays");
        // The state, the link to it, two links.
        assert_eq!(fs::read_dir(at).unwrap().count(), 4);

        write(at, &Files::new(), None).unwrap();
        assert!(shown(at).is_empty());
    }
}
