//! Output and exit code of the program on a simulated node.

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
fn simulated_exercises_pass_without_a_cluster() {
    let output = selfheal(&["exercise", "--simulated"]);
    let printed = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{printed}{}",
        text(&output.stderr)
    );
    for verdict in [
        "PASS  4 of 4 assertions passed",
        "PASS  5 of 5 assertions passed",
        "PASS  6 of 6 assertions passed",
    ] {
        assert!(printed.contains(verdict), "{printed}");
    }
    for name in ["readiness", "liveness", "wrong-image"] {
        assert!(
            printed.contains(&format!("# Result of {name} (simulated")),
            "{printed}"
        );
    }
}

#[test]
fn json_output_has_the_verdicts() {
    let output = selfheal(&["exercise", "liveness", "--simulated", "--output", "json"]);
    let reports: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), reports[0]["exercise"].as_str()),
        (Some(0), Some("liveness"))
    );
    assert_eq!(reports[0]["verdict"], "pass");
    assert_eq!(reports[0]["assertions"][4]["verdict"], "pass");
    let namespace = reports[0]["namespace"].as_str().unwrap();
    assert!(namespace.starts_with("selfheal-exercise-"), "{namespace}");
}

#[test]
fn invalid_command_line_is_exit_code_2() {
    for arguments in [
        &["exercise", "--speed", "0"][..],
        &["exercise", "--image", "nothing"],
        &["up", "--image", "x=/no/such/program"],
        &["exercise", "nonsense", "--simulated"],
        &["exercise", "todo", "--simulated"],
        &["exercise", "--simulated", "--kubeconfig", "x"],
        &["exercise", "--context", "x"],
        &["doctor", "nonsense"],
        &["compare", "one"],
        &["nonsense"],
        &[],
    ] {
        let output = selfheal(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn error_of_a_misspelled_exercise_has_a_similar_name() {
    let output = selfheal(&["exercise", "livenes"]);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors.contains("'liveness'"), "{errors}");
}

#[test]
fn names_can_be_separated_by_commas_and_listed() {
    let output = selfheal(&[
        "exercise",
        "--simulated",
        "readiness,liveness",
        "--namespace",
        "mine",
    ]);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    for name in ["readiness", "liveness"] {
        assert!(
            printed.contains(&format!("# Result of {name} (")),
            "{printed}"
        );
    }
    assert!(printed.contains(", namespace mine)"), "{printed}");
    let lists = [&["exercise", "list"][..], &["exercise", "--list"]].map(selfheal);
    assert_eq!(text(&lists[0].stdout), text(&lists[1].stdout));
    assert!(text(&lists[0].stdout).contains("rolling-update  both applications"));
}

#[test]
fn missing_kubeconfig_is_reported_once() {
    let output = selfheal(&["exercise", "--kubeconfig", "/nope"]);
    assert_eq!(output.status.code(), Some(3));
    let expected = "error: --kubeconfig /nope: No such file or directory (os error 2)\n";
    assert_eq!(text(&output.stderr), expected);
}

#[test]
fn directory_for_recordings_is_checked_before_the_run() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let dir = file.path().join("below");
    let record = dir.to_str().unwrap();
    let output = selfheal(&["exercise", "liveness", "--simulated", "--record", record]);
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(3), "")
    );
    assert!(
        text(&output.stderr).contains("--record"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn program_with_closed_output_exits_without_a_message() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_selfheal"))
        .args(["exercise", "liveness", "--simulated"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(process.stdout.take());
    let output = process.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), text(&output.stderr).as_str()),
        (Some(3), "")
    );
}

#[test]
fn doctor_reports_a_line_for_each_check() {
    let output = selfheal(&["doctor", "--output", "json"]);
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = findings.as_array().unwrap();
    let checks: Vec<_> = findings
        .iter()
        .map(|finding| finding["check"].as_str().unwrap())
        .collect();
    let expected = [
        "namespaces",
        "programs",
        "PostgreSQL",
        "port 8013",
        "port 8081",
        "kubectl",
    ];
    assert!(
        expected.iter().all(|check| checks.contains(check)),
        "{checks:?}"
    );
    let failed = findings.iter().any(|finding| finding["status"] == "failed");
    assert_eq!(output.status.code(), Some(i32::from(failed)));
}

/// Records the liveness exercise into a directory; returns the recording.
fn record(dir: &Path) -> serde_json::Value {
    let argument = dir.to_str().unwrap();
    let output = selfheal(&["exercise", "liveness", "--simulated", "--record", argument]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let file = std::fs::read(dir.join("liveness.json")).unwrap();
    serde_json::from_slice(&file).unwrap()
}

/// Compares two directories; returns exit code and output.
fn compare(first: &Path, second: &Path, options: &[&str]) -> (Option<i32>, String) {
    let dirs = [first, second].map(|dir| dir.to_str().unwrap());
    let output = selfheal(&[&["compare"], &dirs[..], options].concat());
    (output.status.code(), text(&output.stdout))
}

/// Entry of the recording with the first restart of a container.
fn restart_entry(recording: &mut serde_json::Value) -> Option<&mut serde_json::Value> {
    let subjects = recording["subjects"].as_object_mut()?;
    let mut entries = subjects.values_mut().flat_map(|entries| {
        let entries = entries.as_array_mut();
        entries.into_iter().flatten()
    });
    entries.find(|entry| {
        let text = entry["text"].as_str();
        text.is_some_and(|text| text.contains("restarted: 1"))
    })
}

#[test]
fn recordings_of_one_engine_do_not_differ_unless_one_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    record(&first);
    let mut recording = record(&second);
    let (code, printed) = compare(&first, &second, &[]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.ends_with("0 unknown and 0 known differences\n"),
        "{printed}"
    );
    restart_entry(&mut recording).unwrap()["text"] = "api restarted: 7".into();
    std::fs::write(second.join("liveness.json"), recording.to_string()).unwrap();
    let (code, printed) = compare(&first, &second, &[]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("+ api restarted: 7\n"), "{printed}");
    let (code, printed) = compare(&first, &second, &["--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let found = &report["exercises"][0]["differences"][0];
    assert_eq!(
        (code, &found["second"]),
        (Some(1), &"api restarted: 7".into())
    );
}

#[test]
fn comparison_without_a_recording_is_exit_code_3_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let output = selfheal(&["compare", dir.path().to_str().unwrap(), "/no/such/dir"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("no recording in this directory"));
}
