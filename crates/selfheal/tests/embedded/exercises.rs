//! Exercises on the embedded node.

use std::process::{Command, Output};

use test_support::{Requirement, require};

use crate::harness::{reserve_ports, skip_without_namespaces, text};

/// Creates a directory with this program only. The program contains the workloads.
fn create_program_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = env!("CARGO_BIN_EXE_selfheal");
    std::fs::hard_link(program, dir.path().join("selfheal")).unwrap();
    dir
}

/// Runs exercises on the embedded node; every assertion has to pass.
#[track_caller]
fn assert_exercises_pass(names: &[&str], speed: &str) {
    let Some(_ports) = reserve_ports() else {
        return;
    };
    let dir = create_program_dir();
    let output: Output = Command::new(dir.path().join("selfheal"))
        .current_dir("/")
        .env_remove("KUBECONFIG")
        .arg("exercise")
        .args(names)
        .args(["--speed", speed])
        .output()
        .unwrap();
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    if skip_without_namespaces(&errors) {
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{printed}{errors}");
    let verdicts = printed.matches("# Result of").count();
    assert_eq!(verdicts, names.len(), "{printed}");
    assert!(
        printed.contains("(embedded node: real processes on this host"),
        "{printed}"
    );
}

#[test]
fn exercises_of_the_numbers_api_pass_on_the_embedded_node() {
    assert_exercises_pass(&["readiness", "liveness", "wrong-image"], "4");
}

/// One run of both exercises: their services have the same port on this host.
#[test]
fn exercises_of_the_to_do_list_pass_on_the_embedded_node() {
    if require(Requirement::Postgresql) {
        assert_exercises_pass(&["todo", "bad-update"], "6");
    }
}
