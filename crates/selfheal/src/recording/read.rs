//! Reads recordings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Recording;

/// Reads the recording in a file, or those in the `.json` files of a directory; returns them by exercise.
///
/// # Errors
/// When a file cannot be read or is not a recording, or the directory has none.
pub(crate) fn read(path: &Path) -> anyhow::Result<BTreeMap<String, Recording>> {
    let mut found = BTreeMap::new();
    for file in files(path).with_context(|| format!("reading {}", path.display()))? {
        let text = std::fs::read_to_string(&file);
        let text = text.with_context(|| format!("reading {}", file.display()))?;
        let recording: Recording = serde_json::from_str(&text).with_context(|| {
            let file = file.display();
            format!("{file} is not a recording of `selfheal exercise --record`")
        })?;
        found.insert(recording.exercise.clone(), recording);
    }
    anyhow::ensure!(
        !found.is_empty(),
        "{}: no recording in this directory; `selfheal exercise --record DIR` writes recordings",
        path.display()
    );
    Ok(found)
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    Ok(files)
}
