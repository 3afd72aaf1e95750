//! Compares what an exercise showed on two engines: in which order, in which words, and when.

mod align;
mod events;
mod known;
mod replicas;
mod report;
mod times;

use std::collections::BTreeMap;

use serde::Serialize;

pub(crate) use self::known::Known;
pub(crate) use self::report::{Comparison, Side};
use self::times::Times;
use crate::recording::{Entry, Kind, Recording};

/// What one of two recordings shows and the other does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// What it was seen of, as the first recording numbers it.
    pub(crate) subject: String,
    /// In what the two differ.
    pub(crate) kind: Differs,
    /// What the first shows, if it shows anything here.
    pub(crate) first: Option<String>,
    /// What the second shows.
    pub(crate) second: Option<String>,
    /// Why that is as it should be, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) known: Option<String>,
}

/// In what two recordings differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Differs {
    /// In what happened, or in its words.
    Words,
    /// In when it happened; both sides have seconds at their end.
    Time,
    /// In how often.
    Count,
}

/// Compares the recordings of one exercise.
pub(crate) fn compare(first: &Recording, second: &Recording) -> Vec<Difference> {
    let second = replicas::matched(first, second);
    let mut names: Vec<&String> = first
        .subjects
        .keys()
        .chain(second.subjects.keys())
        .collect();
    names.sort();
    names.dedup();
    let of_subject = |name: &String| {
        let entries = |recording: &Recording| recording.subjects.get(name).cloned();
        let (first_entries, second_entries) = (
            entries(first).unwrap_or_default(),
            entries(&second).unwrap_or_default(),
        );
        let times = Times::of(first, &second, name);
        subject(name, &first_entries, &second_entries, &times)
    };
    names.into_iter().flat_map(of_subject).collect()
}

/// Compares what was seen of one subject.
fn subject(name: &str, first: &[Entry], second: &[Entry], times: &Times<'_>) -> Vec<Difference> {
    let of = |entries: &[Entry], kind: Kind| -> Vec<Entry> {
        let of_kind = entries.iter().filter(|entry| entry.kind == kind);
        of_kind.cloned().collect()
    };
    let both = |kind| (of(first, kind), of(second, kind));
    let (mut first_changes, mut second_changes) = both(Kind::Change);
    if name.starts_with("endpoints ") {
        align::turns(&mut first_changes);
        align::turns(&mut second_changes);
    }
    let mut found = align::changes(name, &first_changes, &second_changes, times);
    for kind in [Kind::Event, Kind::Row] {
        let (first, second) = both(kind);
        found.extend(events::compare(name, &first, &second));
    }
    found
}

/// Compares all exercises that both have, and says which only one has.
pub(crate) fn all(
    first: &BTreeMap<String, Recording>,
    second: &BTreeMap<String, Recording>,
    known: &Known,
) -> Comparison {
    let mut comparison = Comparison::default();
    let mut used = known.none_used();
    for (name, first) in first {
        match second.get(name) {
            Some(second) => {
                let mut differences = compare(first, second);
                known.explain(&mut differences, first, second, &mut used);
                comparison.add(first, second, differences);
            }
            None => comparison.missing.push((name.clone(), Side::Second)),
        }
    }
    let only = second.keys().filter(|name| !first.contains_key(*name));
    let only = only.map(|name| (name.clone(), Side::First));
    comparison.missing.extend(only);
    comparison.stale = known.stale(&used);
    comparison
}

#[cfg(test)]
mod tests;
