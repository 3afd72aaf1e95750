use std::collections::BTreeMap;

use super::{Action, EntryKind, RecordEntry, Recording, prepare_dir, read};

fn recording(exercise: &str) -> Recording {
    let entry = RecordEntry {
        at: 1.5,
        kind: EntryKind::Event,
        text: "Normal Started: Container started (kubelet)".to_owned(),
        count: Some(2),
    };
    Recording {
        exercise: exercise.to_owned(),
        engine: "cluster".to_owned(),
        server_version: "v1.36.0".to_owned(),
        stop_reason: Some("timed out".to_owned()),
        speed: 5.0,
        actions: vec![Action {
            at: 0.0,
            text: "apply x".to_owned(),
        }],
        probe_periods: BTreeMap::from([("x".to_owned(), 5)]),
        subjects: BTreeMap::from([("pod x.1#1".to_owned(), vec![entry])]),
    }
}

#[test]
fn recordings_are_read_from_a_directory_and_from_a_file() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("several/new/levels");
    prepare_dir(&dir).unwrap();
    for exercise in ["a", "b"] {
        recording(exercise).write(&dir).unwrap();
    }
    std::fs::write(dir.join("notes.txt"), "not a recording").unwrap();
    let both = ["a", "b"].map(|name| (name.to_owned(), recording(name)));
    assert_eq!(read(&dir).unwrap(), BTreeMap::from(both));
    let from_file = read(&dir.join("b.json")).unwrap();
    let expected = BTreeMap::from([("b".to_owned(), recording("b"))]);
    assert_eq!(from_file, expected);
}

#[test]
fn error_of_an_unreadable_recording_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = |path: &std::path::Path| format!("{:#}", read(path).unwrap_err());
    let empty = error(dir.path());
    assert!(empty.contains("no recording in this directory"), "{empty}");
    let missing = error(&dir.path().join("missing"));
    assert!(missing.contains("missing"), "{missing}");
    std::fs::write(dir.path().join("x.json"), "{}").unwrap();
    let invalid = error(dir.path());
    assert!(invalid.contains("x.json is not a recording"), "{invalid}");
}
