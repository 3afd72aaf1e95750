//! Manifests: those of the repository's files, and those that kustomize makes of an overlay.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use test_support::{Requirement, require};

use crate::repository;

/// An object, and where it is from.
#[derive(Debug)]
pub struct Manifest {
    /// A file's path within `k8s/`, or an overlay's name.
    pub from: String,
    /// The object.
    pub object: Value,
}

impl Manifest {
    /// Where it is from and what it is, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        let object = &self.object;
        format!(
            "{}: {} {}",
            self.from,
            object["kind"].as_str().unwrap_or("?"),
            object["metadata"]["name"].as_str().unwrap_or("?")
        )
    }

    /// Whether it is of this kind.
    #[must_use]
    pub fn is(&self, kind: &str) -> bool {
        self.object["kind"] == kind
    }

    /// The pod's spec that a deployment makes pods from.
    #[must_use]
    pub fn pod(&self) -> &Value {
        &self.object["spec"]["template"]["spec"]
    }

    /// The containers of its pods, without init containers.
    #[must_use]
    pub fn containers(&self) -> &[Value] {
        self.pod()["containers"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// The init containers and the containers of its pods.
    pub fn all_containers(&self) -> impl Iterator<Item = &Value> {
        let init = self.pod()["initContainers"].as_array();
        init.into_iter().flatten().chain(self.containers())
    }
}

/// Every object of a YAML text, its numbers as Kubernetes reads them.
#[must_use]
pub fn parse(text: &str) -> Vec<Value> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_multiple_with_options(text, options).unwrap()
}

/// The manifests of `k8s/` that are whole, and so can be applied as they are.
#[must_use]
pub fn files() -> Vec<Manifest> {
    let root = repository().join("k8s");
    let mut found = Vec::new();
    for file in yaml_files(&root) {
        let from = file.strip_prefix(&root).unwrap().display().to_string();
        let folder = from.split('/').next().unwrap_or_default();
        if !["base", "deploy", "overlays"].contains(&folder) {
            let objects = parse(&fs::read_to_string(&file).unwrap());
            let whole = |object| Manifest {
                from: from.clone(),
                object,
            };
            found.extend(objects.into_iter().map(whole));
        }
    }
    found
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The base and the overlays, by their folders within `k8s/`.
pub const OVERLAYS: [&str; 5] = [
    "base",
    "overlays/sidecar",
    "overlays/kind",
    "overlays/registry",
    "overlays/hardened",
];

/// Objects of an overlay, built by kubectl's kustomize. Returns `None`, and records the test as skipped, without kubectl.
#[must_use]
pub fn rendered(overlay: &str) -> Option<Vec<Manifest>> {
    let folder = repository().join("k8s").join(overlay);
    if !require(Requirement::Kubectl) {
        return None;
    }
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(&folder)
        .output()
        .unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{overlay}: {problem}");
    assert!(problem.is_empty(), "{overlay}: {problem}");
    let objects = parse(&String::from_utf8(output.stdout).unwrap());
    let from = |object| Manifest {
        from: overlay.to_owned(),
        object,
    };
    Some(objects.into_iter().map(from).collect())
}
