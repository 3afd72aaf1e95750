//! The packages that are linked into a program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::platform::Component;

/// A package from a registry.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// SPDX expression.
    pub(crate) license: Option<String>,
    pub(crate) authors: Vec<String>,
    manifest_path: PathBuf,
    #[serde(default)]
    metadata: Option<PackageMetadata>,
    /// `None` for packages of the workspace.
    source: Option<String>,
}

impl Package {
    /// Returns the directory of the package's sources.
    pub(crate) fn directory(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct PackageMetadata {
    #[serde(default)]
    notices: Vec<Component>,
}

/// The contents of a program.
pub(crate) struct Contents {
    /// Packages from outside the workspace.
    pub(crate) packages: Vec<Package>,
    /// Data that the program includes.
    pub(crate) data: Vec<Component>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// Returns the contents of a program on a target, without build dependencies and procedural macros, and with the program's features only.
pub(crate) fn find_contents(workspace: &Path, package: &str, target: &str) -> Result<Contents> {
    let tree = cargo(
        workspace,
        &[
            "tree",
            "--package",
            package,
            "--target",
            target,
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "none",
            "--no-dedupe",
            "--format",
            "{p}",
        ],
    )?;
    let metadata = cargo(
        workspace,
        &[
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            target,
        ],
    )?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("output of cargo metadata")?;
    let known: BTreeMap<(&str, &str), &Package> = metadata
        .packages
        .iter()
        .map(|it| ((it.name.as_str(), it.version.as_str()), it))
        .collect();

    let mut linked = BTreeSet::new();
    for line in tree.lines() {
        let (name, version) =
            parse_tree_line(line).with_context(|| format!("output of cargo tree: {line:?}"))?;
        let found = known
            .get(&(name, version))
            .with_context(|| format!("{line}: not in cargo metadata"))?;
        if found.source.is_some() {
            linked.insert((*found).clone());
        }
    }
    let program = metadata
        .packages
        .iter()
        .find(|it| it.name == package && it.source.is_none());
    let data = program
        .and_then(|it| it.metadata.as_ref())
        .map(|it| it.notices.clone());
    Ok(Contents {
        packages: linked.into_iter().collect(),
        data: data.unwrap_or_default(),
    })
}

/// Parses `NAME vVERSION (SOURCE)`.
fn parse_tree_line(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split(' ');
    Some((words.next()?, words.next()?.strip_prefix('v')?))
}

fn cargo(workspace: &Path, arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .arg("--locked")
        .current_dir(workspace)
        .output();
    let output = output.context("cannot run cargo")?;
    if !output.status.success() {
        bail!(
            "cargo {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).context("output of cargo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_cargo_tree_has_a_name_and_a_version() {
        for (line, expected) in [
            ("ring v0.17.14", Some(("ring", "0.17.14"))),
            (
                "pg-ready v0.1.0 (/src/crates/pg-ready)",
                Some(("pg-ready", "0.1.0")),
            ),
            ("[dev-dependencies]", None),
        ] {
            assert_eq!(parse_tree_line(line), expected, "{line}");
        }
    }
}
