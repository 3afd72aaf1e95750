//! Manifests of the files in `k8s/`, and of the overlays as kustomize renders them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use test_support::{Requirement, require};

use crate::repository;

/// An object and its source.
#[derive(Debug)]
pub struct Manifest {
    /// Path of the file within `k8s/`, or name of the overlay.
    pub source: String,
    /// The object as JSON.
    pub object: Value,
}

impl Manifest {
    /// Returns source, kind and name, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        let object = &self.object;
        format!(
            "{}: {} {}",
            self.source,
            object["kind"].as_str().unwrap_or("?"),
            object["metadata"]["name"].as_str().unwrap_or("?")
        )
    }

    /// Returns `true` for an object of this kind.
    #[must_use]
    pub fn is_kind(&self, kind: &str) -> bool {
        self.object["kind"] == kind
    }

    /// Returns the pod spec in the template of a workload.
    #[must_use]
    pub fn pod_spec(&self) -> &Value {
        &self.object["spec"]["template"]["spec"]
    }

    /// Returns the containers of the template, without init containers.
    #[must_use]
    pub fn containers(&self) -> &[Value] {
        self.pod_spec()["containers"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// Iterates over init containers and containers of the template.
    pub fn all_containers(&self) -> impl Iterator<Item = &Value> {
        let init = self.pod_spec()["initContainers"].as_array();
        init.into_iter().flatten().chain(self.containers())
    }
}

/// Parses every object of a YAML text. Numbers are YAML 1.1 as in Kubernetes: 0440 is octal.
#[must_use]
pub fn parse(text: &str) -> Vec<Value> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_multiple_with_options(text, options).unwrap()
}

/// Returns the manifests of `k8s/` that can be applied without kustomize.
#[must_use]
pub fn applicable_files() -> Vec<Manifest> {
    let root = repository().join("k8s");
    let mut found = Vec::new();
    for file in yaml_files(&root) {
        let source = file.strip_prefix(&root).unwrap().display().to_string();
        let top = source.split('/').next().unwrap_or_default();
        if !["base", "deploy", "overlays"].contains(&top) {
            let objects = parse(&fs::read_to_string(&file).unwrap());
            let from_file = |object| Manifest {
                source: source.clone(),
                object,
            };
            found.extend(objects.into_iter().map(from_file));
        }
    }
    found
}

fn yaml_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Directories of the base and the overlays within `k8s/`.
pub const OVERLAYS: [&str; 5] = [
    "base",
    "overlays/sidecar",
    "overlays/kind",
    "overlays/registry",
    "overlays/hardened",
];

/// Renders an overlay with the kustomize of kubectl. Returns `None`, and records the test as skipped, without kubectl.
#[must_use]
pub fn render(overlay: &str) -> Option<Vec<Manifest>> {
    let dir = repository().join("k8s").join(overlay);
    if !require(Requirement::Kubectl) {
        return None;
    }
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(&dir)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{overlay}: {errors}");
    assert!(errors.is_empty(), "{overlay}: {errors}");
    let objects = parse(&String::from_utf8(output.stdout).unwrap());
    let from_overlay = |object| Manifest {
        source: overlay.to_owned(),
        object,
    };
    Some(objects.into_iter().map(from_overlay).collect())
}
