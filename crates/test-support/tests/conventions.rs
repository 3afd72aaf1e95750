//! Conventions of this workspace's tests.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::fs;
use std::path::{Path, PathBuf};

use selfheal_test_support::repository;

/// Texts that no Rust file may contain, and the reason. They are split here, so that this file does not contain them.
const FORBIDDEN: [(&str, &str); 4] = [
    (
        concat!("ln!(\"", "SKIPPED"),
        "a skip is recorded by test_support::require",
    ),
    (
        concat!("do :", "; done"),
        "a busy loop: wait for an event, a FIFO for example",
    ),
    (concat!("pg", "rep"), "procps is not required: read /proc"),
    (
        concat!("thread::yield_", "now"),
        "a busy loop: wait for an event",
    ),
];

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn tests_record_their_skips_and_wait_for_events() {
    let mut files = Vec::new();
    rust_files(&repository().join("crates"), &mut files);
    assert!(files.len() > 100, "{files:?}");
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (forbidden, reason) in FORBIDDEN {
            for (number, _) in text
                .lines()
                .enumerate()
                .filter(|(_, it)| it.contains(forbidden))
            {
                found.push(format!("{}:{}: {reason}", file.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Returns the code spans of a text that are paths of directories of this repository.
fn paths_in(text: &str) -> Vec<&str> {
    const DIRS: [&str; 6] = [".ci/", "checks/", "crates/", "docker/", "k8s/", "release/"];
    let spans = text.split('`').skip(1).step_by(2);
    let paths = spans.filter(|span| DIRS.iter().any(|dir| span.starts_with(dir)));
    paths
        .map(|span| span.split_whitespace().next().unwrap())
        .filter(|path| !path.contains(['*', '{']))
        .collect()
}

#[test]
fn paths_in_contributing_exist() {
    let text = fs::read_to_string(repository().join("CONTRIBUTING.md")).unwrap();
    let paths = paths_in(&text);
    assert!(paths.len() > 20, "{paths:?}");
    let is_missing = |path: &&&str| !repository().join(path).exists();
    let missing: Vec<_> = paths.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn path_in_a_code_span_is_found_without_its_arguments() {
    let text = "`crates/a/b.rs`, `release/c -x` and `other`; crates/d, `crates/*/tests/`";
    assert_eq!(paths_in(text), ["crates/a/b.rs", "release/c"]);
}
