//! The exercises hold.

use std::process::{Command, Output};

use test_support::{Requirement, require};

use crate::rig::{reserve_ports, skips_without_namespaces, text};

/// A directory with this program and no other: it contains the workloads.
fn alone() -> tempfile::TempDir {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = env!("CARGO_BIN_EXE_selfheal");
    std::fs::hard_link(program, dir.path().join("selfheal")).unwrap();
    dir
}

/// Runs exercises on the embedded node: every claim has to hold.
#[track_caller]
fn holds(names: &[&str], speed: &str) {
    let Some(_ports) = reserve_ports() else {
        return;
    };
    let dir = alone();
    let output: Output = Command::new(dir.path().join("selfheal"))
        .current_dir("/")
        .env_remove("KUBECONFIG")
        .arg("exercise")
        .args(names)
        .args(["--speed", speed])
        .output()
        .unwrap();
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    if skips_without_namespaces(&errors) {
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
fn the_exercises_of_the_random_numbers_hold_on_the_embedded_node() {
    holds(&["readiness", "liveness", "wrong-image"], "4");
}

/// In one run: both use the chapter's port on this host.
#[test]
fn the_exercises_of_the_to_do_list_hold_on_the_embedded_node() {
    if require(Requirement::Postgresql) {
        holds(&["todo", "bad-update"], "6");
    }
}
