//! Compares entries without an order: events, which concurrent components write, and rows of a table.

use super::changes::replaced;
use super::{Difference, DifferenceKind};
use crate::recording::RecordEntry;

/// Returns the entries that one side has not, pairs with different texts, and events with different counts.
pub(super) fn compare_unordered(
    subject: &str,
    first: &[RecordEntry],
    second: &[RecordEntry],
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let (mut only_first, mut only_second) = (Vec::new(), second.to_vec());
    for entry in first {
        let equal = only_second
            .iter()
            .position(|other| other.text == entry.text);
        match equal {
            Some(i) => {
                let other = only_second.remove(i);
                differences.extend(count_difference(subject, entry, &other));
            }
            None => only_first.push(entry.clone()),
        }
    }
    // Entries with the same prefix are probably the same event with another message.
    for entry in only_first {
        let similar = only_second
            .iter()
            .position(|other| prefix(other) == prefix(&entry));
        let other = similar.map(|i| only_second.remove(i));
        differences.extend(replaced(subject, &[entry], other.as_slice()));
    }
    differences.extend(replaced(subject, &[], &only_second));
    differences
}

/// Type, reason and container of an event; first cell of a row.
fn prefix(entry: &RecordEntry) -> &str {
    let end = entry.text.find([':', '|']).unwrap_or(entry.text.len());
    &entry.text[..end]
}

/// Compares the counts of an event. Normal events have equal counts. A warning occurs at each attempt, and a container that
/// starts or stops later has more of them: twice as many and two more are tolerated.
fn count_difference(
    subject: &str,
    first: &RecordEntry,
    second: &RecordEntry,
) -> Option<Difference> {
    let (first_count, second_count) = (first.count?, second.count?);
    let minimum = first_count.min(second_count);
    let tolerated = if first.text.starts_with("Warning") {
        2 * minimum + 2
    } else {
        minimum
    };
    (first_count.max(second_count) > tolerated).then(|| {
        let with_count = |count| Some(format!("{}, {count} times", first.text));
        Difference {
            subject: subject.to_owned(),
            kind: DifferenceKind::Count,
            first: with_count(first_count),
            second: with_count(second_count),
            known_reason: None,
        }
    })
}
