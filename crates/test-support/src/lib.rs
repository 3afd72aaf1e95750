//! Programs under test, PostgreSQL servers, a browser, and requirements of tests, whose absence is recorded as a skip.

#![expect(clippy::unwrap_used, reason = "test helpers panic as tests do")]

pub mod browser;
pub mod namespaces;
pub mod postgres;
pub mod program;
#[cfg(unix)]
pub mod public_api;
mod require;

use std::path::{Path, PathBuf};

pub use require::{Requirement, image_archives, require, skip};

/// Root directory of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap().to_owned()
}
