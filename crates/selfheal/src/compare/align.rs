//! Compares two sequences of changes: the longest that both have in common stands, the rest differs.

use super::times::Times;
use super::{Difference, Differs};
use crate::recording::Entry;

/// What differs between the changes of a subject.
pub(super) fn changes(
    subject: &str,
    first: &[Entry],
    second: &[Entry],
    times: &Times<'_>,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut before = None;
    let (mut i, mut j) = (0, 0);
    for (a, b) in common(first, second)
        .into_iter()
        .chain([(first.len(), second.len())])
    {
        found.extend(between(subject, &first[i..a], &second[j..b]));
        if let (Some(one), Some(other)) = (first.get(a), second.get(b)) {
            if let Some(took) = times.apart((one, other), before) {
                let told = |took: f64| Some(format!("{}, after {took:.1} s", one.text));
                found.push(Difference {
                    subject: subject.to_owned(),
                    kind: Differs::Time,
                    first: told(took.0),
                    second: told(took.1),
                    known: None,
                });
            }
            before = Some((one, other));
        }
        (i, j) = (a + 1, b + 1);
    }
    found
}

/// Keeps of a service's counts those at which they turn: in which order, and how soon after another, its pods come or go
/// on the way from one to the next is chance.
pub(super) fn turns(changes: &mut Vec<Entry>) {
    let counts: Vec<Option<i64>> = changes
        .iter()
        .map(|entry| entry.text.rsplit(' ').next()?.parse().ok())
        .collect();
    let rises = |i: usize| {
        let before = i
            .checked_sub(1)
            .map_or(Some(Some(0)), |i| counts.get(i).copied());
        Some(counts.get(i).copied()?? > before??)
    };
    let mut place = 0;
    changes.retain(|_| {
        place += 1;
        rises(place) != rises(place - 1)
    });
}

/// What stands in the same place of two sequences but is not the same.
pub(super) fn between(subject: &str, first: &[Entry], second: &[Entry]) -> Vec<Difference> {
    let text = |entries: &[Entry], i: usize| entries.get(i).map(|entry| entry.text.clone());
    let differs = |i| Difference {
        subject: subject.to_owned(),
        kind: Differs::Words,
        first: text(first, i),
        second: text(second, i),
        known: None,
    };
    (0..first.len().max(second.len())).map(differs).collect()
}

/// The places of the longest sequence of texts that both have.
fn common(first: &[Entry], second: &[Entry]) -> Vec<(usize, usize)> {
    let mut longest = vec![vec![0; second.len() + 1]; first.len() + 1];
    for i in (0..first.len()).rev() {
        for j in (0..second.len()).rev() {
            longest[i][j] = if first[i].text == second[j].text {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut places) = (0, 0, Vec::new());
    while i < first.len() && j < second.len() {
        if first[i].text == second[j].text {
            places.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[i + 1][j] >= longest[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    places
}
