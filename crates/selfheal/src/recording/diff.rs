//! Compares the recordings of an exercise on two engines: order, texts, numbers and times.

mod allowlist;
mod changes;
mod replicas;
mod report;
mod timing;
mod unordered;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use self::allowlist::Allowlist;
pub(crate) use self::report::{Comparison, Side};
use self::timing::Timing;
use super::{EntryKind, RecordEntry, Recording};

/// A difference between two recordings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Difference {
    /// Subject, with the numbers of the first recording.
    pub(crate) subject: String,
    pub(crate) kind: DifferenceKind,
    /// Text of the first recording; `None` if the entry is missing.
    pub(crate) first: Option<String>,
    /// Text of the second recording; `None` if the entry is missing.
    pub(crate) second: Option<String>,
    /// Reason of a known difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) known_reason: Option<String>,
}

/// Kind of a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DifferenceKind {
    /// An entry is missing, or its text differs.
    #[default]
    Text,
    /// The times differ. Both texts end with the seconds.
    Time,
    /// The numbers of an event's occurrences differ.
    Count,
}

/// Compares all exercises that both sides have, and lists those that one side has not.
pub(crate) fn compare_all(
    first: &BTreeMap<String, Recording>,
    second: &BTreeMap<String, Recording>,
    allowlist: &Allowlist,
) -> Comparison {
    let mut comparison = Comparison::default();
    let mut usage = allowlist.initial_usage();
    for (name, first) in first {
        match second.get(name) {
            Some(second) => {
                let mut differences = compare_recordings(first, second);
                allowlist.explain(&mut differences, first, second, &mut usage);
                comparison.add(first, second, differences);
            }
            None => comparison.missing.push((name.clone(), Side::Second)),
        }
    }
    let only_second = second.keys().filter(|name| !first.contains_key(*name));
    let only_second = only_second.map(|name| (name.clone(), Side::First));
    comparison.missing.extend(only_second);
    comparison.unused = allowlist.unused(&usage);
    comparison
}

/// Compares the recordings of one exercise.
fn compare_recordings(first: &Recording, second: &Recording) -> Vec<Difference> {
    let second = replicas::match_replicas(first, second);
    let mut subjects: Vec<&String> = first
        .subjects
        .keys()
        .chain(second.subjects.keys())
        .collect();
    subjects.sort();
    subjects.dedup();
    let differences = |subject: &String| {
        let entries = |recording: &Recording| recording.subjects.get(subject).cloned();
        let timing = Timing::new(first, &second, subject);
        let first = entries(first).unwrap_or_default();
        let second = entries(&second).unwrap_or_default();
        compare_subject(subject, &first, &second, &timing)
    };
    subjects.into_iter().flat_map(differences).collect()
}

/// Compares the entries of one subject.
fn compare_subject(
    subject: &str,
    first: &[RecordEntry],
    second: &[RecordEntry],
    timing: &Timing<'_>,
) -> Vec<Difference> {
    let of_kind = |entries: &[RecordEntry], kind: EntryKind| -> Vec<RecordEntry> {
        let entries = entries.iter().filter(|entry| entry.kind == kind);
        entries.cloned().collect()
    };
    let both = |kind| (of_kind(first, kind), of_kind(second, kind));
    let (mut first_changes, mut second_changes) = both(EntryKind::Change);
    if subject.starts_with("endpoints ") {
        changes::keep_extrema(&mut first_changes);
        changes::keep_extrema(&mut second_changes);
    }
    let mut differences =
        changes::compare_changes(subject, &first_changes, &second_changes, timing);
    for kind in [EntryKind::Event, EntryKind::Row] {
        let (first, second) = both(kind);
        differences.extend(unordered::compare_unordered(subject, &first, &second));
    }
    differences
}

#[cfg(test)]
mod tests;
