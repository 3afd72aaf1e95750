//! The arithmetic of a rollout: how large each replica set may be at this moment.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::annotations;

/// What a deployment asks for, in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    pub(super) replicas: i32,
    /// How many pods there may be above `replicas`; nothing unless rolling.
    pub(super) surge: i32,
    /// How many pods may be missing; nothing unless rolling.
    pub(super) unavailable: i32,
    pub(super) rolling: bool,
}

impl Goal {
    pub(super) fn of(deployment: &Deployment) -> Self {
        let spec = deployment.spec.as_ref();
        let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let strategy = spec.and_then(|spec| spec.strategy.as_ref());
        let rolling = strategy.and_then(|strategy| strategy.type_.as_deref()) != Some("Recreate");
        if !rolling {
            return Self {
                replicas,
                surge: 0,
                unavailable: 0,
                rolling,
            };
        }
        let bounds = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let surge = resolve(
            bounds.and_then(|bounds| bounds.max_surge.as_ref()),
            replicas,
            Round::Up,
        );
        let unavailable = resolve(
            bounds.and_then(|bounds| bounds.max_unavailable.as_ref()),
            replicas,
            Round::Down,
        );
        // Both may round to nothing, and then nothing could ever move.
        let unavailable = if surge == 0 && unavailable == 0 {
            1
        } else {
            unavailable
        };
        Self {
            replicas,
            surge,
            unavailable: unavailable.min(replicas),
            rolling,
        }
    }

    pub(super) fn min_available(self) -> i32 {
        self.replicas - self.unavailable
    }

    pub(super) fn max_total(self) -> i32 {
        self.replicas + self.surge
    }
}

#[derive(Clone, Copy)]
enum Round {
    Up,
    Down,
}

/// A number of pods, or a percentage of `replicas`; 25 % where nothing is given, as the API fills in.
fn resolve(bound: Option<&IntOrString>, replicas: i32, round: Round) -> i32 {
    let percent = match bound {
        Some(IntOrString::Int(number)) => return *number,
        Some(IntOrString::String(text)) => text.trim_end_matches('%').parse().unwrap_or(0),
        None => 25,
    };
    let hundredths = i64::from(replicas) * percent;
    let pods = match round {
        Round::Up => (hundredths + 99).div_euclid(100),
        Round::Down => hundredths.div_euclid(100),
    };
    i32::try_from(pods).unwrap_or(i32::MAX)
}

pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1)
}

pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status
        .as_ref()
        .and_then(|status| status.available_replicas)
        .unwrap_or(0)
}

pub(super) fn total(sets: &[&ReplicaSet]) -> i32 {
    sets.iter().map(|set| size(set)).sum()
}

/// How large the new set may become, `current` large as it is, with `total` pods asked for by all sets.
pub(super) fn new_size(goal: Goal, current: i32, total: i32) -> i32 {
    if !goal.rolling || current > goal.replicas {
        return goal.replicas;
    }
    let room = goal.max_total() - total;
    if room <= 0 {
        current
    } else {
        current + room.min(goal.replicas - current)
    }
}

/// The sizes to give the old sets, oldest first, where they change: first what is not available goes, then as much as
/// the available pods allow.
pub(super) fn old_sizes(goal: Goal, new: Option<&ReplicaSet>, old: &[&ReplicaSet]) -> Vec<i32> {
    let mut sizes: Vec<i32> = old.iter().map(|set| size(set)).collect();
    let new_total = new.map_or(0, size);
    let new_unavailable = new.map_or(0, |new| size(new) - available(new));
    let all = sizes.iter().sum::<i32>() + new_total;
    let mut budget = all - goal.min_available() - new_unavailable;
    if budget <= 0 {
        return sizes;
    }
    for (set, size) in old.iter().zip(&mut sizes) {
        let broken = (*size - available(set)).clamp(0, budget.max(0));
        *size -= broken;
        budget -= broken;
    }
    let available_now = old.iter().copied().chain(new).map(available).sum::<i32>();
    let mut spare = (available_now - goal.min_available()).max(0);
    for size in &mut sizes {
        let gone = (*size).min(spare);
        *size -= gone;
        spare -= gone;
    }
    sizes
}

/// The sizes that spread a changed `replicas` over `sets` in proportion, as given: largest first.
pub(super) fn proportional(goal: Goal, status_replicas: i32, sets: &[&ReplicaSet]) -> Vec<i32> {
    let allowed = if goal.replicas > 0 {
        goal.max_total()
    } else {
        0
    };
    let to_add = allowed - total(sets);
    let mut added = 0;
    let mut sizes: Vec<i32> = Vec::with_capacity(sets.len());
    for set in sets {
        let share = share(goal, status_replicas, set);
        let share = if to_add > 0 {
            share.min(to_add - added)
        } else {
            share.max(to_add - added)
        };
        let share = if size(set) == 0 || to_add == added {
            0
        } else {
            share
        };
        added += share;
        sizes.push(size(set) + share);
    }
    if let Some(largest) = sizes.first_mut() {
        *largest = (*largest + to_add - added).max(0);
    }
    sizes
}

/// How much one set should grow so that it keeps its part of the whole.
fn share(goal: Goal, status_replicas: i32, set: &ReplicaSet) -> i32 {
    let current = size(set);
    if goal.replicas == 0 {
        return -current;
    }
    let before = annotations::number(set, annotations::MAX_REPLICAS)
        .filter(|max| *max != 0)
        .unwrap_or(status_replicas);
    if before == 0 {
        return 0;
    }
    let scaled = f64::from(current) * f64::from(goal.max_total()) / f64::from(before);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number of pods, bounded by the API far below i32::MAX"
    )]
    let rounded = scaled.round() as i32;
    rounded - current
}

#[cfg(test)]
mod tests;
