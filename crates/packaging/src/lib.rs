//! Readers of what is shipped, for tests: manifests of `k8s/` and of kustomize, and archives of images.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

pub mod archive;
pub mod manifest;
pub mod podman;
pub mod strict;

pub use test_support::repository;

/// Version of the workspace and of every image.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
