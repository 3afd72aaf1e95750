//! Snapshots of a library's public API, so that a change of it is visible in review.
//!
//! `cargo public-api` needs a nightly toolchain, because rustdoc's JSON output is unstable. Here rustdoc alone is run with
//! `RUSTC_BOOTSTRAP`, through a wrapper: the variable would make cargo compile the dependencies again.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use public_api::Builder;

use crate::{Requirement, require, skip};

/// If set, the snapshot is written instead of compared.
const UPDATE_VARIABLE: &str = "UPDATE_PUBLIC_API";

/// Compares the public API of a library with the snapshot `public-api.txt` beside its manifest.
///
/// `target_tmpdir` is cargo's `CARGO_TARGET_TMPDIR`, from which the target directory is derived.
///
/// # Panics
/// If the API differs, or rustdoc fails.
#[track_caller]
pub fn assert_public_api_matches_snapshot(package: &str, manifest_dir: &str, target_tmpdir: &str) {
    if !require(Requirement::RustdocJson) {
        return;
    }
    let json = build_rustdoc_json(package, Path::new(target_tmpdir));
    let api = match Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
    {
        Ok(api) => api.to_string(),
        // The format changes with the version of Rust.
        Err(error) => return skip(Requirement::RustdocJson, &error.to_string()),
    };
    let path = Path::new(manifest_dir).join("public-api.txt");
    if std::env::var_os(UPDATE_VARIABLE).is_some() {
        fs::write(&path, api).unwrap();
        return;
    }
    let snapshot = fs::read_to_string(&path).unwrap_or_default();
    let changes = changed_lines(&snapshot, &api);
    assert!(
        changes.is_empty(),
        "the public API of {package} differs from {}; if that is intended, set {UPDATE_VARIABLE}=1 and run the test again\n\
         {changes}",
        path.display()
    );
}

fn build_rustdoc_json(package: &str, target_tmpdir: &Path) -> PathBuf {
    let dir = tempfile::tempdir().unwrap();
    let rustdoc = dir.path().join("rustdoc");
    fs::write(
        &rustdoc,
        "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n",
    )
    .unwrap();
    fs::set_permissions(&rustdoc, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["rustdoc", "--locked", "--lib", "--package", package])
        .args(["--", "-Zunstable-options", "--output-format=json"])
        .env("RUSTDOC", &rustdoc)
        .env_remove("RUSTDOCFLAGS")
        .current_dir(crate::repository())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo rustdoc failed: {stderr}");
    let target_dir = target_tmpdir.parent().unwrap();
    let library = package.replace('-', "_");
    target_dir.join("doc").join(format!("{library}.json"))
}

/// Returns removed lines with `-` and added lines with `+`.
fn changed_lines(before: &str, after: &str) -> String {
    let mut changes = String::new();
    for (sign, lines, others) in [('-', before, after), ('+', after, before)] {
        for line in lines
            .lines()
            .filter(|line| !others.lines().any(|other| other == *line))
        {
            writeln!(changes, "{sign}{line}").unwrap();
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::changed_lines;

    #[test]
    fn removed_and_added_items_are_listed() {
        assert_eq!(
            changed_lines("pub fn a\npub fn b\n", "pub fn b\npub fn c\n"),
            "-pub fn a\n+pub fn c\n"
        );
        assert_eq!(changed_lines("pub fn a\n", "pub fn a\n"), "");
    }
}
