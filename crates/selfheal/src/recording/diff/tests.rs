//! Differences and tolerances.

use std::collections::BTreeMap;

use super::{Allowlist, Difference, DifferenceKind, compare_all, compare_recordings};
use crate::exit::Exit;
use crate::recording::{Action, EntryKind, RecordEntry, Recording};

mod allowlist;

fn entry(at: f64, kind: EntryKind, text: &str, count: Option<i32>) -> RecordEntry {
    RecordEntry {
        at,
        kind,
        text: text.to_owned(),
        count,
    }
}

fn change(at: f64, text: &str) -> RecordEntry {
    entry(at, EntryKind::Change, text, None)
}

fn event(text: &str, count: i32) -> RecordEntry {
    entry(0.0, EntryKind::Event, text, Some(count))
}

fn row(text: &str) -> RecordEntry {
    entry(0.0, EntryKind::Row, text, None)
}

/// Recording with actions at 0 and 100 s, and probes of `app` every 10 s.
fn recording(version: &str, subjects: &[(&str, &[RecordEntry])]) -> Recording {
    let action = |at| Action {
        at,
        text: "action".to_owned(),
    };
    let subjects = subjects.iter();
    Recording {
        exercise: "x".to_owned(),
        server_version: version.to_owned(),
        speed: 1.0,
        actions: vec![action(0.0), action(100.0)],
        probe_periods: BTreeMap::from([("app".to_owned(), 10)]),
        subjects: subjects
            .map(|(name, entries)| ((*name).to_owned(), entries.to_vec()))
            .collect(),
        ..Recording::default()
    }
}

/// Kinds and texts of the differences of one subject.
fn differences(
    subject: &str,
    first: &[RecordEntry],
    second: &[RecordEntry],
) -> Vec<(DifferenceKind, String, String)> {
    let (first, second) = (
        recording("v1.20.2", &[(subject, first)]),
        recording("v1.36.0", &[(subject, second)]),
    );
    let summary = |difference: Difference| {
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        (
            difference.kind,
            text(difference.first),
            text(difference.second),
        )
    };
    compare_recordings(&first, &second)
        .into_iter()
        .map(summary)
        .collect()
}

#[track_caller]
fn assert_differences(
    subject: &str,
    first: &[RecordEntry],
    second: &[RecordEntry],
    expected: &[(DifferenceKind, &str, &str)],
) {
    let found = differences(subject, first, second);
    let found: Vec<_> = found
        .iter()
        .map(|(kind, first, second)| (*kind, first.as_str(), second.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn equal_recordings_have_no_difference() {
    let entries = [change(1.0, "a"), event("Normal B: b", 2), row("c")];
    assert_differences("pod app.1#1", &entries, &entries, &[]);
}

#[test]
fn changes_differ_if_missing_or_in_another_order() {
    let changes = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| change(1.0, text))
            .collect::<Vec<_>>()
    };
    let subject = "pod app.1#1";
    let text = DifferenceKind::Text;
    assert_differences(
        subject,
        &changes(&["a", "b", "c"]),
        &changes(&["a", "c"]),
        &[(text, "b", "-")],
    );
    assert_differences(
        subject,
        &changes(&["a", "c"]),
        &changes(&["a", "b", "c"]),
        &[(text, "-", "b")],
    );
    assert_differences(
        subject,
        &changes(&["a", "b", "c"]),
        &changes(&["a", "x", "c"]),
        &[(text, "b", "x")],
    );
    assert_differences(
        subject,
        &changes(&["a", "b"]),
        &changes(&["b", "a"]),
        &[(text, "a", "-"), (text, "-", "a")],
    );
}

#[test]
fn times_differ_above_a_probe_period_and_the_start_up_time() {
    let (subject, time) = ("pod app.1#1", DifferenceKind::Time);
    // A probe period of 10 s, 3 s for the observation and 2 s for the start.
    assert_differences(subject, &[change(1.0, "a")], &[change(16.0, "a")], &[]);
    let expected = (time, "a, after 1.0 s", "a, after 16.1 s");
    assert_differences(
        subject,
        &[change(1.0, "a")],
        &[change(16.1, "a")],
        &[expected],
    );
    // The other application has no probes.
    assert_differences(
        "pod other.1#1",
        &[change(1.0, "a")],
        &[change(6.0, "a")],
        &[],
    );
    let expected = (time, "a, after 1.0 s", "a, after 6.1 s");
    assert_differences(
        "pod other.1#1",
        &[change(1.0, "a")],
        &[change(6.1, "a")],
        &[expected],
    );
}

#[test]
fn start_up_time_is_longer_on_a_faster_clock() {
    let first = recording("v1.20.2", &[("pod app.1#1", &[change(1.0, "a")])]);
    let at_speed_5 = |at| Recording {
        speed: 5.0,
        ..recording("v1.36.0", &[("pod app.1#1", &[change(at, "a")])])
    };
    assert_eq!(compare_recordings(&first, &at_speed_5(24.0)).len(), 0);
    assert_eq!(compare_recordings(&first, &at_speed_5(24.1)).len(), 1);
}

#[test]
fn time_is_measured_from_the_latest_action_or_change() {
    let subject = "pod app.1#1";
    // The first change was late; the second one has the same delay.
    let (first, second) = (
        [change(1.0, "a"), change(31.0, "b")],
        [change(15.0, "a"), change(50.0, "b")],
    );
    assert_differences(subject, &first, &second, &[]);
    // Both follow the action at 100 s with similar delays; earlier times do not count.
    let (first, second) = (
        [change(1.0, "a"), change(110.0, "b")],
        [change(15.0, "a"), change(102.0, "b")],
    );
    assert_differences(subject, &first, &second, &[]);
    let (first, second) = (
        [change(1.0, "a"), change(101.0, "b")],
        [change(1.0, "a"), change(130.0, "b")],
    );
    let expected = (DifferenceKind::Time, "b, after 1.0 s", "b, after 30.0 s");
    assert_differences(subject, &first, &second, &[expected]);
    // An action that only one side has before the change is not the cause.
    let (first, second) = ([change(99.0, "a")], [change(101.0, "a")]);
    assert_differences(subject, &first, &second, &[]);
}

#[test]
fn events_are_compared_without_order() {
    let (a, b) = (event("Normal A: a (k)", 1), event("Normal B: b (k)", 1));
    assert_differences(
        "pod app.1#1",
        &[a.clone(), b.clone()],
        &[b.clone(), a.clone()],
        &[],
    );
    let other = event("Normal A: other (k)", 1);
    let expected = (
        DifferenceKind::Text,
        "Normal A: a (k)",
        "Normal A: other (k)",
    );
    assert_differences(
        "pod app.1#1",
        &[a.clone(), b.clone()],
        &[b.clone(), other],
        &[expected],
    );
    let expected = [
        (DifferenceKind::Text, "Normal A: a (k)", "-"),
        (DifferenceKind::Text, "-", "Normal B: b (k)"),
    ];
    assert_differences("pod app.1#1", &[a], &[b], &expected);
}

#[test]
fn counts_of_normal_events_are_equal_and_of_warnings_similar() {
    let subject = "pod app.1#1";
    let expected = (
        DifferenceKind::Count,
        "Normal A: a, 1 times",
        "Normal A: a, 2 times",
    );
    assert_differences(
        subject,
        &[event("Normal A: a", 1)],
        &[event("Normal A: a", 2)],
        &[expected],
    );
    assert_differences(
        subject,
        &[event("Warning A: a", 3)],
        &[event("Warning A: a", 8)],
        &[],
    );
    let expected = (
        DifferenceKind::Count,
        "Warning A: a, 9 times",
        "Warning A: a, 3 times",
    );
    assert_differences(
        subject,
        &[event("Warning A: a", 9)],
        &[event("Warning A: a", 3)],
        &[expected],
    );
}

#[test]
fn only_extrema_of_address_counts_are_compared() {
    let changes = |counts: &[i32]| -> Vec<RecordEntry> {
        counts
            .iter()
            .map(|count| change(1.0, &format!("addresses: {count}")))
            .collect()
    };
    let subject = "endpoints app";
    assert_differences(subject, &changes(&[1, 2, 1, 2]), &changes(&[2, 1, 2]), &[]);
    assert_differences(
        subject,
        &changes(&[2, 0, 2]),
        &changes(&[1, 2, 1, 0, 1, 2]),
        &[],
    );
    let expected = [
        (DifferenceKind::Text, "addresses: 1", "-"),
        (DifferenceKind::Text, "addresses: 2", "-"),
    ];
    assert_differences(subject, &changes(&[2, 1, 2]), &changes(&[2]), &expected);
}

#[test]
fn pods_of_one_owner_are_compared_with_the_most_similar_ones() {
    let (broken, healthy) = (
        &[change(1.0, "ready"), change(9.0, "not ready")][..],
        &[change(1.0, "ready")][..],
    );
    let first = recording(
        "v1",
        &[
            ("pod app.1#1", broken),
            ("pod app.1#2", healthy),
            ("pod app.2#1", healthy),
        ],
    );
    let second = recording(
        "v1",
        &[
            ("pod app.1#1", healthy),
            ("pod app.1#2", broken),
            ("pod app.2#1", healthy),
        ],
    );
    assert_eq!(compare_recordings(&first, &second), []);
    // Pods of different owners are not exchanged.
    let second = recording(
        "v1",
        &[
            ("pod app.1#1", healthy),
            ("pod app.1#2", healthy),
            ("pod app.2#1", broken),
        ],
    );
    let subjects: Vec<_> = compare_recordings(&first, &second)
        .into_iter()
        .map(|difference| difference.subject)
        .collect();
    assert_eq!(subjects, ["pod app.1#1", "pod app.2#1"]);
}
