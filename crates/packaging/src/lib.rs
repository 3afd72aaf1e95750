//! What is shipped, read for tests: manifests as they lie in `k8s/` and as kustomize prints them, images as archives.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers panic and talk as tests do"
)]

pub mod archive;
pub mod manifest;

pub mod podman;
pub mod strict;

use std::path::{Path, PathBuf};

/// The version of the workspace, which is every image's.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The repository's folder.
#[must_use]
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap().to_owned()
}

/// Why a test was not run, where a person sees it.
pub fn skipped(what: &str) {
    eprintln!("SKIPPED: {what}");
}
