//! Pods of one owner are alike. Which of them a call breaks is chance, so each is compared with the one that is most like it.

use std::collections::BTreeMap;

use super::subject;
use super::times::Times;
use crate::recording::{Entry, Recording};

/// More than so many are compared in their order: there are too many ways to match them.
const MOST: usize = 6;

/// The second recording with its pods numbered as those of the first that they are most like.
pub(super) fn matched(first: &Recording, second: &Recording) -> Recording {
    let mut groups: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for name in first.subjects.keys().chain(second.subjects.keys()) {
        if let Some((owner, _)) = name.split_once('#') {
            let group = groups.entry(owner).or_default();
            if !group.contains(&name) {
                group.push(name);
            }
        }
    }
    let mut matched = second.clone();
    for group in groups.values().filter(|group| group.len() <= MOST) {
        let entries = |recording: &Recording, name: &String| -> Vec<Entry> {
            recording.subjects.get(name).cloned().unwrap_or_default()
        };
        let cost = |order: &Vec<usize>| -> usize {
            let pairs = group.iter().zip(order);
            pairs
                .map(|(name, &other)| {
                    let times = Times::of(first, second, name);
                    let (of_first, of_second) =
                        (entries(first, name), entries(second, group[other]));
                    subject(name, &of_first, &of_second, &times).len()
                })
                .sum()
        };
        // The first of equals: the order of creation where nothing speaks against it.
        let best = orders(group.len()).into_iter().min_by_key(cost);
        for (name, other) in group.iter().zip(best.unwrap_or_default()) {
            let entries = second.subjects.get(group[other]).cloned();
            matched.subjects.remove(*name);
            matched
                .subjects
                .extend(entries.map(|entries| ((*name).clone(), entries)));
        }
    }
    matched
}

/// All orders of so many things, the natural one first.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for _ in 0..count {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                let next = (0..count)
                    .filter(|i| !order.contains(i))
                    .collect::<Vec<_>>();
                next.into_iter().map(move |i| [&order[..], &[i]].concat())
            })
            .collect();
    }
    orders
}
