//! Workloads of the exercises, selected by the name of a link to this program.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

use std::os::unix::fs::symlink;
use std::process::{Command, Output};

fn run(name: &str, argument: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join(name);
    symlink(env!("CARGO_BIN_EXE_selfheal"), &link).unwrap();
    Command::new(link).arg(argument).output().unwrap()
}

#[test]
fn link_named_after_a_workload_runs_it() {
    for (name, expected) in [
        ("numbers-api", "numbers-api "),
        ("todo-web", "todo-web "),
        ("probe-sidecar", "probe-sidecar "),
        ("pg-ready", "pg-ready (PostgreSQL) "),
        ("pg_isready", "pg_isready (PostgreSQL) "),
        ("another-name", "selfheal "),
    ] {
        let output = run(name, "--version");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.starts_with(expected), "{name}: {printed}");
        assert_eq!(output.status.code(), Some(0), "{name}");
    }
}

#[test]
fn workload_with_an_invalid_argument_has_the_exit_code_of_its_own_program() {
    for (name, argument, code) in [
        ("numbers-api", "--no-such-option", 2),
        ("todo-web", "--threads=none", 2),
        ("probe-sidecar", "--no-such-option", 2),
        ("pg-ready", "--no-such-option", 3),
        ("pg_isready", "--wait=1s", 3),
        ("todo-db", "/no/such/program", 127),
    ] {
        let output = run(name, argument);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{name}: {errors}");
        assert!(!errors.is_empty(), "{name}");
    }
}

#[test]
fn workload_rejects_the_argument_of_a_node_role() {
    let output = run("numbers-api", "__container-shim");
    assert_eq!(output.status.code(), Some(2));
}
