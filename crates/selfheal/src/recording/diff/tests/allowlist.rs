//! Known differences.

use super::*;

const LIST: &str = "
- reason: text changed
  old_version: '1.20'
  new_version: '1.36'
  subject: pod .*
  old_pattern: Old (a|b)
  new_pattern: New [ab]
- reason: removed
  old_version: '1.20'
  new_version: '1.36'
  old_pattern: Left
- reason: late
  old_version: '1.20'
  new_version: '1.36'
  kind: time
  old_pattern: deleted, .*
  new_pattern: deleted, .*
- reason: random
  any_pattern: Random
";

/// Returns the exit code, the reasons in order, and the number of unused entries.
fn compare(
    first: (&str, &[RecordEntry]),
    second: (&str, &[RecordEntry]),
) -> (Exit, Vec<Option<String>>, usize) {
    let recordings = |(version, entries)| {
        BTreeMap::from([(
            "x".to_owned(),
            recording(version, &[("pod app.1#1", entries)]),
        )])
    };
    let comparison = compare_all(
        &recordings(first),
        &recordings(second),
        &Allowlist::parse(LIST).unwrap(),
    );
    let json = serde_json::to_value(&comparison).unwrap();
    let found = json["exercises"][0]["differences"].as_array().unwrap();
    let reasons = found
        .iter()
        .map(|found| found["knownReason"].as_str().map(str::to_owned))
        .collect();
    (
        comparison.exit(),
        reasons,
        json["unused"].as_array().unwrap().len(),
    )
}

#[test]
fn known_difference_has_its_reason_in_either_order_of_versions() {
    let reason = |text: &str| Some(text.to_owned());
    let (old, new) = ([event("Old a", 1)], [event("New a", 1)]);
    // The prefixes differ, so neither has a counterpart.
    let events = compare(("v1.20.2", &old), ("v1.36.0", &new));
    assert_eq!((events.0, events.1), (Exit::Failed, vec![None, None]));
    let (old, new) = ([change(1.0, "Old a")], [change(1.0, "New a")]);
    let reasons = vec![reason("text changed")];
    assert_eq!(
        compare(("v1.20.2", &old), ("v1.36.0", &new)),
        (Exit::Passed, reasons.clone(), 2)
    );
    assert_eq!(
        compare(("v1.36.0", &new), ("v1.20.2", &old)),
        (Exit::Passed, reasons.clone(), 2)
    );
    assert_eq!(
        compare(("v1.19.0", &old), ("v1.40.0+k3s1", &new)),
        (Exit::Passed, reasons, 2)
    );
    // Other versions, or the text of the other side.
    for (first, second, unused) in [
        ("v1.21.0", "v1.36.0", 0),
        ("v1.20.2", "v1.35.9", 0),
        ("unknown", "v1.36.0", 0),
    ] {
        let found = compare((first, &old), (second, &new));
        assert_eq!(
            found,
            (Exit::Failed, vec![None], unused),
            "{first} {second}"
        );
    }
    assert_eq!(
        compare(("v1.20.2", &new), ("v1.36.0", &old)).0,
        Exit::Failed
    );
    // The pattern matches the whole text.
    let more = [change(1.0, "New ab")];
    assert_eq!(
        compare(("v1.20.2", &old), ("v1.36.0", &more)).0,
        Exit::Failed
    );
}

#[test]
fn entry_that_one_side_has_is_known_for_that_side_only() {
    let (left, none) = (&[change(1.0, "Left")][..], &[][..]);
    let found = compare(("v1.20.2", left), ("v1.36.0", none));
    assert_eq!(found, (Exit::Passed, vec![Some("removed".to_owned())], 2));
    assert_eq!(
        compare(("v1.20.2", none), ("v1.36.0", left)).0,
        Exit::Failed
    );
    let random = &[change(1.0, "Random")][..];
    for (first, second) in [(random, none), (none, random)] {
        let found = compare(("v1.36.0", first), ("v1.36.0", second));
        assert_eq!((found.0, found.2), (Exit::Passed, 0));
    }
}

#[test]
fn known_time_does_not_explain_a_text() {
    let (soon, late) = (
        &[change(1.0, "deleted")][..],
        &[change(60.0, "deleted")][..],
    );
    assert_eq!(
        compare(("v1.20.2", late), ("v1.36.0", soon)).0,
        Exit::Passed
    );
    let (one, other) = (
        &[change(1.0, "deleted, a")][..],
        &[change(1.0, "deleted, b")][..],
    );
    assert_eq!(
        compare(("v1.20.2", one), ("v1.36.0", other)).0,
        Exit::Failed
    );
}

#[test]
fn comparison_without_a_common_exercise_is_an_error() {
    let recordings = |name: &str| BTreeMap::from([(name.to_owned(), recording("v1.36.0", &[]))]);
    let comparison = compare_all(
        &recordings("a"),
        &recordings("b"),
        &Allowlist::parse(LIST).unwrap(),
    );
    assert_eq!(comparison.exit(), Exit::Error);
    let mut out = Vec::new();
    comparison.print(&mut out).unwrap();
    let expected = "a: not compared, the second has no recording of it\nb: not compared, the first has no recording of it\n\
                    0 unknown and 0 known differences\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn exercise_that_stopped_early_on_one_side_differs() {
    let complete = recording("v1.36.0", &[]);
    let stopped = Recording {
        stop_reason: Some("timed out".to_owned()),
        ..complete.clone()
    };
    let recordings = |recording: &Recording| BTreeMap::from([("x".to_owned(), recording.clone())]);
    let allowlist = Allowlist::parse(LIST).unwrap();
    assert_eq!(
        compare_all(&recordings(&complete), &recordings(&stopped), &allowlist).exit(),
        Exit::Failed
    );
    assert_eq!(
        compare_all(&recordings(&stopped), &recordings(&stopped), &allowlist).exit(),
        Exit::Passed
    );
}

#[test]
fn printed_comparison_has_unknown_differences_and_counts_of_known_ones() {
    let first = recording(
        "v1.20.2",
        &[("pod app.1#1", &[change(1.0, "Old a"), change(2.0, "b")])],
    );
    let second = recording("v1.36.0", &[("pod app.1#1", &[change(1.0, "New a")])]);
    let recordings = |recording| BTreeMap::from([("x".to_owned(), recording)]);
    let mut out = Vec::new();
    compare_all(
        &recordings(first),
        &recordings(second),
        &Allowlist::parse(LIST).unwrap(),
    )
    .print(&mut out)
    .unwrap();
    let out = String::from_utf8(out).unwrap();
    let start = "== x: 2 entries\n-  (v1.20.2)\n+  (v1.36.0)\npod app.1#1 differs:\n  - b\n  + (no entry)\nknown, 1 times: text changed\n\n";
    assert!(out.starts_with(start), "{out}");
    assert!(
        out.contains("known, but not found here: removed (^(?s:Left)$ / no entry)\n"),
        "{out}"
    );
    assert!(
        out.ends_with("1 unknown and 1 known differences\n"),
        "{out}"
    );
}

#[test]
fn included_list_is_valid() {
    Allowlist::included().unwrap();
}

#[test]
fn invalid_list_is_rejected() {
    for text in [
        "- reason: a\n  old_version: 'new'",
        "- reason: a\n  old_pattern: '('",
        "- reasn: a",
        "- old_pattern: a",
    ] {
        assert!(Allowlist::parse(text).is_err(), "{text}");
    }
}
