//! Matches the pods of one owner. The pod that a request breaks is random, so each is compared with the most similar one.

use std::collections::BTreeMap;

use super::compare_subject;
use super::timing::Timing;
use crate::recording::{RecordEntry, Recording};

/// Maximum number of pods to match: all permutations are tried. More pods are compared in the order of their creation.
const MAX_MATCHED_REPLICAS: usize = 6;

/// Returns the second recording with its pods numbered like the most similar ones of the first.
pub(super) fn match_replicas(first: &Recording, second: &Recording) -> Recording {
    let mut groups: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for subject in first.subjects.keys().chain(second.subjects.keys()) {
        if let Some((owner, _)) = subject.split_once('#') {
            let group = groups.entry(owner).or_default();
            if !group.contains(&subject) {
                group.push(subject);
            }
        }
    }
    let mut matched = second.clone();
    for group in groups
        .values()
        .filter(|group| group.len() <= MAX_MATCHED_REPLICAS)
    {
        // `min_by_key` returns the first of equals: the order of creation.
        let best = permutations(group.len())
            .into_iter()
            .min_by_key(|order| count_differences(first, second, group, order));
        for (subject, other) in group.iter().zip(best.unwrap_or_default()) {
            let entries = second.subjects.get(group[other]).cloned();
            matched.subjects.remove(*subject);
            matched
                .subjects
                .extend(entries.map(|entries| ((*subject).clone(), entries)));
        }
    }
    matched
}

/// Number of differences if each subject of `group` is compared with the one at its index in `order`.
fn count_differences(
    first: &Recording,
    second: &Recording,
    group: &[&String],
    order: &[usize],
) -> usize {
    let entries = |recording: &Recording, subject: &String| -> Vec<RecordEntry> {
        recording.subjects.get(subject).cloned().unwrap_or_default()
    };
    let pairs = group.iter().zip(order);
    let counts = pairs.map(|(subject, &other)| {
        let timing = Timing::new(first, second, subject);
        let (first, second) = (entries(first, subject), entries(second, group[other]));
        compare_subject(subject, &first, &second, &timing).len()
    });
    counts.sum()
}

/// All permutations of the indices below `count`, the identity first.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut partial = vec![Vec::new()];
    for _ in 0..count {
        partial = partial
            .into_iter()
            .flat_map(|indices: Vec<usize>| {
                let rest: Vec<_> = (0..count).filter(|i| !indices.contains(i)).collect();
                rest.into_iter().map(move |i| [&indices[..], &[i]].concat())
            })
            .collect();
    }
    partial
}
