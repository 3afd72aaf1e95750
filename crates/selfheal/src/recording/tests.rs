use std::collections::BTreeMap;

use super::{Act, Entry, Kind, Recording, prepare_dir, read};

fn recording(exercise: &str) -> Recording {
    let entry = Entry {
        at: 1.5,
        kind: Kind::Event,
        text: "Normal Started: Container started (kubelet)".to_owned(),
        count: Some(2),
    };
    Recording {
        exercise: exercise.to_owned(),
        engine: "cluster".to_owned(),
        version: "v1.36.0".to_owned(),
        stopped: Some("waited".to_owned()),
        pace: 5.0,
        acts: vec![Act {
            at: 0.0,
            text: "apply x".to_owned(),
        }],
        periods: BTreeMap::from([("x".to_owned(), 5)]),
        subjects: BTreeMap::from([("pod x.1#1".to_owned(), vec![entry])]),
    }
}

#[test]
fn recordings_are_read_from_a_directory_and_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made/by/it");
    prepare_dir(&made).unwrap();
    for exercise in ["a", "b"] {
        recording(exercise).write(&made).unwrap();
    }
    std::fs::write(made.join("notes.txt"), "no recording").unwrap();
    let both = ["a", "b"].map(|name| (name.to_owned(), recording(name)));
    assert_eq!(read(&made).unwrap(), BTreeMap::from(both));
    let one = read(&made.join("b.json")).unwrap();
    assert_eq!(one, BTreeMap::from([("b".to_owned(), recording("b"))]));
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let told = |place: &std::path::Path| format!("{:#}", read(place).unwrap_err());
    assert!(told(folder.path()).contains("there is no recording in it"));
    let gone = folder.path().join("gone");
    assert!(told(&gone).contains("gone"), "{}", told(&gone));
    std::fs::write(folder.path().join("x.json"), "{}").unwrap();
    let told = told(folder.path());
    assert!(told.contains("x.json is no recording"), "{told}");
}
