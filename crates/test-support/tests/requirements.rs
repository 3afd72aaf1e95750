//! A test without its requirement is recorded, or fails if the requirement is demanded.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::env;
use std::process::{Command, Output};

use selfheal_test_support::{Requirement, require};

/// Runs the test of this name in a separate process with an empty `PATH`.
fn run_without_programs(test: &str, demanded: &str) -> (Output, String) {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join("records");
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test])
        .env("PATH", dir.path())
        .env("SELFHEAL_TEST_SKIPS", &records)
        .env("SELFHEAL_TEST_REQUIRE", demanded)
        .env("NEXTEST_BINARY_ID", "test-support::requirements")
        .env("IS_CHILD", "yes")
        .output()
        .unwrap();
    (output, std::fs::read_to_string(records).unwrap_or_default())
}

#[test]
fn test_without_its_requirement_is_recorded_with_its_name_and_the_reason() {
    let name = "test_without_its_requirement_is_recorded_with_its_name_and_the_reason";
    if env::var_os("IS_CHILD").is_some() {
        assert!(!require(Requirement::Kubectl));
        return;
    }
    for demanded in ["", "postgresql", "all,-kubectl"] {
        let (output, records) = run_without_programs(name, demanded);
        assert!(output.status.success(), "{output:?}");
        let fields: Vec<_> = records.trim_end().split('\t').collect();
        let reason =
            "kubectl is not in PATH; install it from https://kubernetes.io/docs/tasks/tools";
        let expected = ["test-support::requirements", name, "kubectl", reason];
        assert_eq!(fields, expected);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(&format!(
            "SKIPPED test-support::requirements {name}: kubectl"
        )));
    }
}

#[test]
fn test_without_a_demanded_requirement_fails_and_names_it() {
    let name = "test_without_a_demanded_requirement_fails_and_names_it";
    if env::var_os("IS_CHILD").is_some() {
        let _ = require(Requirement::Kubectl);
        return;
    }
    for demanded in ["all", "kubectl", "all,-root"] {
        let (output, records) = run_without_programs(name, demanded);
        assert!(!output.status.success(), "{demanded}");
        assert_eq!(records, "");
        let printed = String::from_utf8(output.stdout).unwrap();
        let message = "SELFHEAL_TEST_REQUIRE demands requirement kubectl: kubectl is not in PATH";
        assert!(printed.contains(message), "{printed}");
    }
}
