//! What is known to differ, and why.

use super::*;

const LIST: &str = "
- reason: words changed
  old: '1.20'
  new: '1.36'
  subject: pod .*
  was: Old (a|b)
  is: New [ab]
- reason: it is gone
  old: '1.20'
  new: '1.36'
  was: Left
- reason: late
  old: '1.20'
  new: '1.36'
  kind: time
  was: gone, .*
  is: gone, .*
- reason: chance
  either: Passing
";

/// The exit code, the reasons in order, and what is stale.
fn explained(
    first: (&str, &[Entry]),
    second: (&str, &[Entry]),
) -> (Exit, Vec<Option<String>>, usize) {
    let of = |(version, entries)| {
        BTreeMap::from([(
            "x".to_owned(),
            recording(version, &[("pod app.1#1", entries)]),
        )])
    };
    let comparison = all(&of(first), &of(second), &Known::parse(LIST).unwrap());
    let json = serde_json::to_value(&comparison).unwrap();
    let found = json["exercises"][0]["differences"].as_array().unwrap();
    let reasons = found
        .iter()
        .map(|found| found["known"].as_str().map(str::to_owned))
        .collect();
    (
        comparison.exit(),
        reasons,
        json["stale"].as_array().unwrap().len(),
    )
}

#[test]
fn a_known_difference_has_its_reason_whichever_side_is_the_older() {
    let reason = |text: &str| Some(text.to_owned());
    let (old, new) = ([event("Old a", 1)], [event("New a", 1)]);
    // They begin with other words, so each is there without the other.
    let lone = explained(("v1.20.2", &old), ("v1.36.0", &new));
    assert_eq!((lone.0, lone.1), (Exit::Failed, vec![None, None]));
    let (old, new) = ([change(1.0, "Old a")], [change(1.0, "New a")]);
    let words = vec![reason("words changed")];
    assert_eq!(
        explained(("v1.20.2", &old), ("v1.36.0", &new)),
        (Exit::Passed, words.clone(), 2)
    );
    assert_eq!(
        explained(("v1.36.0", &new), ("v1.20.2", &old)),
        (Exit::Passed, words.clone(), 2)
    );
    assert_eq!(
        explained(("v1.19.0", &old), ("v1.40.0+k3s1", &new)),
        (Exit::Passed, words, 2)
    );
    // Other versions, or the words of the other side.
    for (first, second, stale) in [
        ("v1.21.0", "v1.36.0", 0),
        ("v1.20.2", "v1.35.9", 0),
        ("unknown", "v1.36.0", 0),
    ] {
        let found = explained((first, &old), (second, &new));
        assert_eq!(found, (Exit::Failed, vec![None], stale), "{first} {second}");
    }
    assert_eq!(
        explained(("v1.20.2", &new), ("v1.36.0", &old)).0,
        Exit::Failed
    );
    // The whole text has to be known.
    let more = [change(1.0, "New ab")];
    assert_eq!(
        explained(("v1.20.2", &old), ("v1.36.0", &more)).0,
        Exit::Failed
    );
}

#[test]
fn what_only_one_side_has_is_known_only_there() {
    let (left, nothing) = (&[change(1.0, "Left")][..], &[][..]);
    let held = explained(("v1.20.2", left), ("v1.36.0", nothing));
    assert_eq!(held, (Exit::Passed, vec![Some("it is gone".to_owned())], 2));
    assert_eq!(
        explained(("v1.20.2", nothing), ("v1.36.0", left)).0,
        Exit::Failed
    );
    let passing = &[change(1.0, "Passing")][..];
    for (first, second) in [(passing, nothing), (nothing, passing)] {
        let held = explained(("v1.36.0", first), ("v1.36.0", second));
        assert_eq!((held.0, held.2), (Exit::Passed, 0));
    }
}

#[test]
fn a_known_time_is_no_known_word() {
    let (soon, late) = (&[change(1.0, "gone")][..], &[change(60.0, "gone")][..]);
    assert_eq!(
        explained(("v1.20.2", late), ("v1.36.0", soon)).0,
        Exit::Passed
    );
    let (word, other) = (&[change(1.0, "gone, a")][..], &[change(1.0, "gone, b")][..]);
    assert_eq!(
        explained(("v1.20.2", word), ("v1.36.0", other)).0,
        Exit::Failed
    );
}

#[test]
fn nothing_in_common_is_no_comparison() {
    let of = |name: &str| BTreeMap::from([(name.to_owned(), recording("v1.36.0", &[]))]);
    let comparison = all(&of("a"), &of("b"), &Known::parse(LIST).unwrap());
    assert_eq!(comparison.exit(), Exit::Error);
    let mut out = Vec::new();
    comparison.print(&mut out).unwrap();
    let expected = "a: not compared, the second has no recording of it\nb: not compared, the first has no recording of it\n\
                    0 unknown and 0 known differences\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn an_exercise_that_one_side_did_not_end_differs() {
    let whole = recording("v1.36.0", &[]);
    let stopped = Recording {
        stopped: Some("waited".to_owned()),
        ..whole.clone()
    };
    let of = |recording: &Recording| BTreeMap::from([("x".to_owned(), recording.clone())]);
    let known = Known::parse(LIST).unwrap();
    assert_eq!(all(&of(&whole), &of(&stopped), &known).exit(), Exit::Failed);
    assert_eq!(
        all(&of(&stopped), &of(&stopped), &known).exit(),
        Exit::Passed
    );
}

#[test]
fn a_person_reads_what_is_unknown_and_counts_what_is_known() {
    let first = recording(
        "v1.20.2",
        &[("pod app.1#1", &[change(1.0, "Old a"), change(2.0, "b")])],
    );
    let second = recording("v1.36.0", &[("pod app.1#1", &[change(1.0, "New a")])]);
    let of = |recording| BTreeMap::from([("x".to_owned(), recording)]);
    let mut out = Vec::new();
    all(&of(first), &of(second), &Known::parse(LIST).unwrap())
        .print(&mut out)
        .unwrap();
    let out = String::from_utf8(out).unwrap();
    let begin = "== x: 2 entries\n-  (v1.20.2)\n+  (v1.36.0)\npod app.1#1 differs:\n  - b\n  + (nothing)\nknown, 1 times: words changed\n\n";
    assert!(out.starts_with(begin), "{out}");
    assert!(
        out.contains("known, but not found here: it is gone (^(?s:Left)$ / nothing)\n"),
        "{out}"
    );
    assert!(
        out.ends_with("1 unknown and 1 known differences\n"),
        "{out}"
    );
}

#[test]
fn the_programs_own_list_can_be_read() {
    Known::own().unwrap();
}

#[test]
fn a_mistake_in_the_list_is_refused() {
    for text in [
        "- reason: a\n  old: 'new'",
        "- reason: a\n  was: '('",
        "- reasn: a",
        "- was: a",
    ] {
        assert!(Known::parse(text).is_err(), "{text}");
    }
}
