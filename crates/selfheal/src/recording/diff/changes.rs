//! Compares two sequences of changes by their longest common subsequence.

use similar::{Algorithm, DiffTag, capture_diff_slices_by_key};

use super::timing::Timing;
use super::{Difference, DifferenceKind};
use crate::recording::RecordEntry;

/// Returns the differences of texts and times between the changes of a subject.
pub(super) fn compare_changes(
    subject: &str,
    first: &[RecordEntry],
    second: &[RecordEntry],
    timing: &Timing<'_>,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut previous = None;
    let operations =
        capture_diff_slices_by_key(Algorithm::Lcs, first, second, |entry| entry.text.clone());
    for operation in operations {
        let (tag, first_range, second_range) = operation.as_tag_tuple();
        let (first, second) = (&first[first_range], &second[second_range]);
        if tag != DiffTag::Equal {
            differences.extend(replaced(subject, first, second));
            continue;
        }
        for pair in first.iter().zip(second) {
            if let Some(seconds) = timing.difference(pair, previous) {
                differences.push(time_difference(subject, &pair.0.text, seconds));
            }
            previous = Some(pair);
        }
    }
    differences
}

fn time_difference(subject: &str, text: &str, (first, second): (f64, f64)) -> Difference {
    let with_time = |seconds: f64| Some(format!("{text}, after {seconds:.1} s"));
    Difference {
        subject: subject.to_owned(),
        kind: DifferenceKind::Time,
        first: with_time(first),
        second: with_time(second),
        known_reason: None,
    }
}

/// Keeps the local extrema of a service's address counts. The order and the times at which its pods come and go between two
/// extrema are random.
pub(super) fn keep_extrema(changes: &mut Vec<RecordEntry>) {
    let counts: Vec<Option<i64>> = changes
        .iter()
        .map(|entry| entry.text.rsplit(' ').next()?.parse().ok())
        .collect();
    // Direction of the change at an index; the count before the first entry is 0.
    let is_rise = |i: usize| {
        let previous = i
            .checked_sub(1)
            .map_or(Some(Some(0)), |i| counts.get(i).copied());
        Some(counts.get(i).copied()?? > previous??)
    };
    let mut next = 0;
    changes.retain(|_| {
        next += 1;
        is_rise(next) != is_rise(next - 1)
    });
}

/// Returns the differences of two ranges at the same position of which no entries are equal.
pub(super) fn replaced(
    subject: &str,
    first: &[RecordEntry],
    second: &[RecordEntry],
) -> Vec<Difference> {
    let text = |entries: &[RecordEntry], i: usize| entries.get(i).map(|entry| entry.text.clone());
    let difference = |i| Difference {
        subject: subject.to_owned(),
        kind: DifferenceKind::Text,
        first: text(first, i),
        second: text(second, i),
        known_reason: None,
    };
    (0..first.len().max(second.len())).map(difference).collect()
}
