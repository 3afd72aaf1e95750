//! The program itself, on a simulated node: what it prints and how it ends.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::path::Path;
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
fn what_can_be_simulated_holds_without_a_cluster_and_says_that_it_is_simulated() {
    let output = selfheal(&["exercise", "--simulated"]);
    let printed = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{printed}{}",
        text(&output.stderr)
    );
    for verdict in [
        "4 of 4 claims hold",
        "5 of 5 claims hold",
        "6 of 6 claims hold",
    ] {
        assert!(printed.contains(verdict), "{printed}");
    }
    for name in ["readiness", "liveness", "wrong-image"] {
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
        &["exercise", "todo", "--simulated"],
        &["exercise", "--simulated", "--kubeconfig", "x"],
        &["compare", "one"],
        &["nonsense"],
        &[],
    ] {
        let output = selfheal(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

/// Records the liveness exercise into a folder; returns the recording.
fn recorded(folder: &Path) -> serde_json::Value {
    let record = folder.to_str().unwrap();
    let output = selfheal(&["exercise", "liveness", "--simulated", "--record", record]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let file = std::fs::read(folder.join("liveness.json")).unwrap();
    serde_json::from_slice(&file).unwrap()
}

/// Compares two folders: the exit code, and what is printed.
fn compared(first: &Path, second: &Path, more: &[&str]) -> (Option<i32>, String) {
    let places = [first, second].map(|place| place.to_str().unwrap());
    let output = selfheal(&[&["compare"], &places[..], more].concat());
    (output.status.code(), text(&output.stdout))
}

#[test]
fn two_recordings_of_one_engine_do_not_differ_and_one_that_was_changed_does() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    recorded(&first);
    let mut recording = recorded(&second);
    let (code, printed) = compared(&first, &second, &[]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.ends_with("0 unknown and 0 known differences\n"),
        "{printed}"
    );
    let restart = recording["subjects"]
        .as_object_mut()
        .unwrap()
        .values_mut()
        .find_map(|entries| {
            let mut entries = entries.as_array_mut()?.iter_mut();
            entries.find(|entry| {
                entry["text"]
                    .as_str()
                    .is_some_and(|text| text.contains("restarted: 1"))
            })
        });
    restart.unwrap()["text"] = "api restarted: 7".into();
    std::fs::write(second.join("liveness.json"), recording.to_string()).unwrap();
    let (code, printed) = compared(&first, &second, &[]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("+ api restarted: 7\n"), "{printed}");
    let (code, printed) = compared(&first, &second, &["--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let found = &report["exercises"][0]["differences"][0];
    assert_eq!(
        (code, &found["second"]),
        (Some(1), &"api restarted: 7".into())
    );
}

#[test]
fn what_cannot_be_compared_is_exit_code_3_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let output = selfheal(&["compare", folder.path().to_str().unwrap(), "/no/such/place"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("there is no recording in it"));
}
