//! What counts as a difference, and what is known or chance.

use std::collections::BTreeMap;

use super::{Difference, Differs, Known, all, compare};
use crate::exit::Exit;
use crate::recording::{Act, Entry, Kind, Recording};

mod known;

fn entry(at: f64, kind: Kind, text: &str, count: Option<i32>) -> Entry {
    Entry {
        at,
        kind,
        text: text.to_owned(),
        count,
    }
}

fn change(at: f64, text: &str) -> Entry {
    entry(at, Kind::Change, text, None)
}

fn event(text: &str, count: i32) -> Entry {
    entry(0.0, Kind::Event, text, Some(count))
}

fn row(text: &str) -> Entry {
    entry(0.0, Kind::Row, text, None)
}

/// One that acts at 0 and at 100, with probes of `app` every 10 s.
fn recording(version: &str, subjects: &[(&str, &[Entry])]) -> Recording {
    let act = |at| Act {
        at,
        text: "act".to_owned(),
    };
    let subjects = subjects.iter();
    Recording {
        exercise: "x".to_owned(),
        version: version.to_owned(),
        pace: 1.0,
        acts: vec![act(0.0), act(100.0)],
        periods: BTreeMap::from([("app".to_owned(), 10)]),
        subjects: subjects
            .map(|(name, entries)| ((*name).to_owned(), entries.to_vec()))
            .collect(),
        ..Recording::default()
    }
}

/// The differences of one subject: in what, and both texts.
fn differences(subject: &str, first: &[Entry], second: &[Entry]) -> Vec<(Differs, String, String)> {
    let (first, second) = (
        recording("v1.20.2", &[(subject, first)]),
        recording("v1.36.0", &[(subject, second)]),
    );
    let told = |difference: Difference| {
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        (
            difference.kind,
            text(difference.first),
            text(difference.second),
        )
    };
    compare(&first, &second).into_iter().map(told).collect()
}

#[track_caller]
fn check(subject: &str, first: &[Entry], second: &[Entry], expected: &[(Differs, &str, &str)]) {
    let found = differences(subject, first, second);
    let found: Vec<_> = found
        .iter()
        .map(|(kind, first, second)| (*kind, first.as_str(), second.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_same_differs_in_nothing() {
    let seen = [change(1.0, "a"), event("Normal B: b", 2), row("c")];
    check("pod app.1#1", &seen, &seen, &[]);
}

#[test]
fn changes_differ_in_their_order_and_in_what_only_one_has() {
    let of = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| change(1.0, text))
            .collect::<Vec<_>>()
    };
    let subject = "pod app.1#1";
    let words = Differs::Words;
    check(
        subject,
        &of(&["a", "b", "c"]),
        &of(&["a", "c"]),
        &[(words, "b", "-")],
    );
    check(
        subject,
        &of(&["a", "c"]),
        &of(&["a", "b", "c"]),
        &[(words, "-", "b")],
    );
    check(
        subject,
        &of(&["a", "b", "c"]),
        &of(&["a", "x", "c"]),
        &[(words, "b", "x")],
    );
    check(
        subject,
        &of(&["a", "b"]),
        &of(&["b", "a"]),
        &[(words, "a", "-"), (words, "-", "a")],
    );
}

#[test]
fn a_time_differs_when_it_is_a_period_and_what_a_start_takes_apart() {
    let (subject, time) = ("pod app.1#1", Differs::Time);
    // A period of 10 s, 3 s for the cluster and 2 s for the machine.
    check(subject, &[change(1.0, "a")], &[change(16.0, "a")], &[]);
    let told = (time, "a, after 1.0 s", "a, after 16.1 s");
    check(subject, &[change(1.0, "a")], &[change(16.1, "a")], &[told]);
    // Nobody probes the other.
    check(
        "pod other.1#1",
        &[change(1.0, "a")],
        &[change(6.0, "a")],
        &[],
    );
    let told = (time, "a, after 1.0 s", "a, after 6.1 s");
    check(
        "pod other.1#1",
        &[change(1.0, "a")],
        &[change(6.1, "a")],
        &[told],
    );
}

#[test]
fn a_machine_whose_clock_is_hurried_has_as_long_to_start_a_program() {
    let first = recording("v1.20.2", &[("pod app.1#1", &[change(1.0, "a")])]);
    let late = |at| Recording {
        pace: 5.0,
        ..recording("v1.36.0", &[("pod app.1#1", &[change(at, "a")])])
    };
    assert_eq!(compare(&first, &late(24.0)).len(), 0);
    assert_eq!(compare(&first, &late(24.1)).len(), 1);
}

#[test]
fn time_is_counted_from_what_was_done_last_or_changed_last() {
    let subject = "pod app.1#1";
    // The first was late already; what follows took as long.
    let (first, second) = (
        [change(1.0, "a"), change(31.0, "b")],
        [change(15.0, "a"), change(50.0, "b")],
    );
    check(subject, &first, &second, &[]);
    // Both followed the act at 100 by about as much, whenever what was before it came.
    let (first, second) = (
        [change(1.0, "a"), change(110.0, "b")],
        [change(15.0, "a"), change(102.0, "b")],
    );
    check(subject, &first, &second, &[]);
    let (first, second) = (
        [change(1.0, "a"), change(101.0, "b")],
        [change(1.0, "a"), change(130.0, "b")],
    );
    let told = (Differs::Time, "b, after 1.0 s", "b, after 30.0 s");
    check(subject, &first, &second, &[told]);
    // An act between that one has seen before the change and the other after it is the cause of neither.
    let (first, second) = ([change(99.0, "a")], [change(101.0, "a")]);
    check(subject, &first, &second, &[]);
}

#[test]
fn events_have_no_order_but_words() {
    let (a, b) = (event("Normal A: a (k)", 1), event("Normal B: b (k)", 1));
    check(
        "pod app.1#1",
        &[a.clone(), b.clone()],
        &[b.clone(), a.clone()],
        &[],
    );
    let other = event("Normal A: other (k)", 1);
    let told = (Differs::Words, "Normal A: a (k)", "Normal A: other (k)");
    check(
        "pod app.1#1",
        &[a.clone(), b.clone()],
        &[b.clone(), other],
        &[told],
    );
    let told = [
        (Differs::Words, "Normal A: a (k)", "-"),
        (Differs::Words, "-", "Normal B: b (k)"),
    ];
    check("pod app.1#1", &[a], &[b], &told);
}

#[test]
fn what_is_normal_happens_as_often_and_a_warning_about_as_often() {
    let subject = "pod app.1#1";
    let told = (
        Differs::Count,
        "Normal A: a, 1 times",
        "Normal A: a, 2 times",
    );
    check(
        subject,
        &[event("Normal A: a", 1)],
        &[event("Normal A: a", 2)],
        &[told],
    );
    check(
        subject,
        &[event("Warning A: a", 3)],
        &[event("Warning A: a", 8)],
        &[],
    );
    let told = (
        Differs::Count,
        "Warning A: a, 9 times",
        "Warning A: a, 3 times",
    );
    check(
        subject,
        &[event("Warning A: a", 9)],
        &[event("Warning A: a", 3)],
        &[told],
    );
}

#[test]
fn of_a_services_counts_only_the_turns_are_compared() {
    let of = |counts: &[i32]| -> Vec<Entry> {
        counts
            .iter()
            .map(|count| change(1.0, &format!("addresses: {count}")))
            .collect()
    };
    let subject = "endpoints app";
    check(subject, &of(&[1, 2, 1, 2]), &of(&[2, 1, 2]), &[]);
    check(subject, &of(&[2, 0, 2]), &of(&[1, 2, 1, 0, 1, 2]), &[]);
    let told = [
        (Differs::Words, "addresses: 1", "-"),
        (Differs::Words, "addresses: 2", "-"),
    ];
    check(subject, &of(&[2, 1, 2]), &of(&[2]), &told);
}

#[test]
fn pods_of_one_owner_are_compared_with_those_they_are_most_like() {
    let (broken, whole) = (
        &[change(1.0, "ready"), change(9.0, "not ready")][..],
        &[change(1.0, "ready")][..],
    );
    let first = recording(
        "v1",
        &[
            ("pod app.1#1", broken),
            ("pod app.1#2", whole),
            ("pod app.2#1", whole),
        ],
    );
    let second = recording(
        "v1",
        &[
            ("pod app.1#1", whole),
            ("pod app.1#2", broken),
            ("pod app.2#1", whole),
        ],
    );
    assert_eq!(compare(&first, &second), []);
    // Those of another owner are not taken for them.
    let second = recording(
        "v1",
        &[
            ("pod app.1#1", whole),
            ("pod app.1#2", whole),
            ("pod app.2#1", broken),
        ],
    );
    let subjects: Vec<_> = compare(&first, &second)
        .into_iter()
        .map(|found| found.subject)
        .collect();
    assert_eq!(subjects, ["pod app.1#1", "pod app.2#1"]);
}
