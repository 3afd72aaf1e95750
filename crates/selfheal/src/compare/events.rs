//! Compares sets: events, whose order is that of goroutines, and rows of a table, which are sorted by chance.

use super::align::between;
use super::{Difference, Differs};
use crate::recording::Entry;

/// What differs: an event that only one has, one that differs in its words, or one that came much more often.
pub(super) fn compare(subject: &str, first: &[Entry], second: &[Entry]) -> Vec<Difference> {
    let mut found = Vec::new();
    let (mut only_first, mut only_second) = (Vec::new(), second.to_vec());
    for entry in first {
        let Some(place) = only_second
            .iter()
            .position(|other| other.text == entry.text)
        else {
            only_first.push(entry.clone());
            continue;
        };
        found.extend(counts(subject, entry, &only_second.remove(place)));
    }
    // What begins alike is likely the same in other words.
    for entry in only_first {
        let alike = only_second
            .iter()
            .position(|other| beginning(other) == beginning(&entry));
        let other = alike.map(|place| only_second.remove(place));
        found.extend(between(subject, &[entry], other.as_slice()));
    }
    found.extend(between(subject, &[], &only_second));
    found
}

/// The type and reason of an event, and the place that it is about; the first cell of a row.
fn beginning(entry: &Entry) -> &str {
    let end = entry.text.find([':', '|']).unwrap_or(entry.text.len());
    &entry.text[..end]
}

/// What is normal happens as often here as there. A warning comes with each attempt, of which there are more where a
/// container takes longer to start or to end: up to two more, and twice as many, is chance.
fn counts(subject: &str, first: &Entry, second: &Entry) -> Option<Difference> {
    let (a, b) = (first.count?, second.count?);
    let (fewer, more) = (a.min(b), a.max(b));
    let chance = if first.text.starts_with("Warning") {
        2 * fewer + 2
    } else {
        fewer
    };
    (more > chance).then(|| {
        let told = |count| Some(format!("{}, {count} times", first.text));
        Difference {
            subject: subject.to_owned(),
            kind: Differs::Count,
            first: told(a),
            second: told(b),
            known: None,
        }
    })
}
