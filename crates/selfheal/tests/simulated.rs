//! The program itself, on a simulated node: what it prints and how it ends.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::process::{Command, Output};

fn selfheal(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_selfheal"))
        .args(arguments)
        .env_remove("KUBECONFIG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn both_exercises_hold_without_a_cluster_and_say_that_they_are_simulated() {
    let output = selfheal(&["exercise", "--simulated"]);
    let printed = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{printed}{}",
        text(&output.stderr)
    );
    for verdict in ["4 of 4 claims hold", "5 of 5 claims hold"] {
        assert!(printed.contains(verdict), "{printed}");
    }
    for name in ["readiness", "liveness"] {
        assert!(
            printed.contains(&format!("# Verdict on {name} (simulated")),
            "{printed}"
        );
    }
}

#[test]
fn the_verdicts_come_as_json_for_programs() {
    let output = selfheal(&["exercise", "liveness", "--simulated", "--output", "json"]);
    let reports: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), reports[0]["exercise"].as_str()),
        (Some(0), Some("liveness"))
    );
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_code_2() {
    for arguments in [
        &["exercise", "--speed", "0"][..],
        &["exercise", "--image", "nothing"],
        &["up", "--image", "x=/no/such/program"],
        &["exercise", "nonsense", "--simulated"],
        &["exercise", "--simulated", "--kubeconfig", "x"],
        &["nonsense"],
        &[],
    ] {
        let output = selfheal(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}
