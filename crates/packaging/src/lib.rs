//! What is shipped, read for tests: manifests as they lie in `k8s/` and as kustomize prints them, images as archives.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

pub mod archive;
pub mod manifest;

pub mod podman;
pub mod strict;

pub use test_support::repository;

/// The version of the workspace, which is every image's.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
