//! What an exercise leaves for a comparison: all that was seen to change, when, in words that no cluster's own names are in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// One exercise on one engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Recording {
    /// The exercise's name.
    pub(crate) exercise: String,
    /// Where it ran.
    pub(crate) engine: String,
    /// What the API server says it is, as in `v1.36.2`.
    pub(crate) version: String,
    /// The step that did not come true, where one did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stopped: Option<String>,
    /// How many times as fast as a machine's the engine's clock ran.
    pub(crate) pace: f64,
    /// What the exercise did, in order: the causes of what changed.
    pub(crate) acts: Vec<Act>,
    /// The longest period of an application's probes, in seconds.
    pub(crate) periods: BTreeMap<String, i32>,
    /// What was seen, by what it was seen of.
    pub(crate) subjects: BTreeMap<String, Vec<Entry>>,
}

/// Something that the exercise did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    /// Seconds of the cluster's clock since the exercise began.
    pub(crate) at: f64,
    /// Which.
    pub(crate) text: String,
}

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Seconds of the cluster's clock since the exercise began.
    pub(crate) at: f64,
    /// What sort of thing.
    pub(crate) kind: Kind,
    /// In words.
    pub(crate) text: String,
    /// How often, for events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<i32>,
}

/// What sort of thing was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A state that an object came to; their order matters.
    Change,
    /// An event about an object.
    Event,
    /// A row of a table.
    Row,
}

/// Creates the directory for recordings if it is absent, and checks that a file can be created in it.
pub(crate) fn prepare_dir(dir: &Path) -> anyhow::Result<()> {
    let probe = dir.join(format!(".selfheal-{}", std::process::id()));
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&probe, ""))
        .and_then(|()| std::fs::remove_file(&probe))
        .with_context(|| format!("--record {}: cannot write to this directory", dir.display()))
}

impl Recording {
    /// Writes the recording to `EXERCISE.json` in the directory.
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let file = dir.join(format!("{}.json", self.exercise));
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(&file, text)
            .with_context(|| format!("writing the recording {}", file.display()))
    }
}

/// The recordings in a file, or in a directory's `.json` files, by exercise.
pub(crate) fn read(path: &Path) -> anyhow::Result<BTreeMap<String, Recording>> {
    let mut found = BTreeMap::new();
    for file in files(path).with_context(|| format!("reading {}", path.display()))? {
        let text = std::fs::read_to_string(&file);
        let text = text.with_context(|| format!("reading {}", file.display()))?;
        let recording: Recording = serde_json::from_str(&text).with_context(|| {
            let file = file.display();
            format!("{file} is no recording of `selfheal exercise --record`")
        })?;
        found.insert(recording.exercise.clone(), recording);
    }
    anyhow::ensure!(
        !found.is_empty(),
        "{}: there is no recording in it; `selfheal exercise --record DIR` makes them",
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

#[cfg(test)]
mod tests;
