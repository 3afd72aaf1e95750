//! Arithmetic of a rollout: the replicas that each replica set may have.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::annotations;

/// Bounds of a deployment's rollout, in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RolloutLimits {
    pub(super) replicas: i32,
    /// Maximum number of pods above `replicas`; 0 unless the strategy is `RollingUpdate`.
    pub(super) surge: i32,
    /// Maximum number of unavailable pods; 0 unless the strategy is `RollingUpdate`.
    pub(super) unavailable: i32,
    pub(super) rolling: bool,
}

impl RolloutLimits {
    pub(super) fn from_deployment(deployment: &Deployment) -> Self {
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
        // If both round to 0, no step would be possible.
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

/// Resolves a number of pods or a percentage of `replicas`. The default is 25 %, as in the API.
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

pub(super) fn replicas_of(set: &ReplicaSet) -> i32 {
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
    sets.iter().map(|set| replicas_of(set)).sum()
}

/// Returns the replicas of the new set, which has `current` replicas, where all sets have `total` (upstream's `NewRSNewReplicas`).
pub(super) fn new_rs_replicas(limits: RolloutLimits, current: i32, total: i32) -> i32 {
    if !limits.rolling || current > limits.replicas {
        return limits.replicas;
    }
    let headroom = limits.max_total() - total;
    if headroom <= 0 {
        current
    } else {
        current + headroom.min(limits.replicas - current)
    }
}

/// Returns the replicas of the old sets, oldest first: unavailable pods are removed first, then as many as the number of available
/// pods allows.
pub(super) fn scale_down_old(
    limits: RolloutLimits,
    new: Option<&ReplicaSet>,
    old: &[&ReplicaSet],
) -> Vec<i32> {
    let mut replicas: Vec<i32> = old.iter().map(|set| replicas_of(set)).collect();
    let new_total = new.map_or(0, replicas_of);
    let new_unavailable = new.map_or(0, |new| replicas_of(new) - available(new));
    let all = replicas.iter().sum::<i32>() + new_total;
    let mut budget = all - limits.min_available() - new_unavailable;
    if budget <= 0 {
        return replicas;
    }
    for (set, count) in old.iter().zip(&mut replicas) {
        let unavailable = (*count - available(set)).clamp(0, budget.max(0));
        *count -= unavailable;
        budget -= unavailable;
    }
    let available_now = old.iter().copied().chain(new).map(available).sum::<i32>();
    let mut spare = (available_now - limits.min_available()).max(0);
    for count in &mut replicas {
        let removed = (*count).min(spare);
        *count -= removed;
        spare -= removed;
    }
    replicas
}

/// Returns the replicas of `sets`, largest first, that distribute a changed `replicas` in proportion.
pub(super) fn proportional(
    limits: RolloutLimits,
    status_replicas: i32,
    sets: &[&ReplicaSet],
) -> Vec<i32> {
    let allowed = if limits.replicas > 0 {
        limits.max_total()
    } else {
        0
    };
    let to_add = allowed - total(sets);
    let mut added = 0;
    let mut replicas: Vec<i32> = Vec::with_capacity(sets.len());
    for set in sets {
        let share = proportional_change(limits, status_replicas, set);
        let share = if to_add > 0 {
            share.min(to_add - added)
        } else {
            share.max(to_add - added)
        };
        let share = if replicas_of(set) == 0 || to_add == added {
            0
        } else {
            share
        };
        added += share;
        replicas.push(replicas_of(set) + share);
    }
    if let Some(largest) = replicas.first_mut() {
        *largest = (*largest + to_add - added).max(0);
    }
    replicas
}

/// Returns the change of a set's replicas that keeps its proportion.
fn proportional_change(limits: RolloutLimits, status_replicas: i32, set: &ReplicaSet) -> i32 {
    let current = replicas_of(set);
    if limits.replicas == 0 {
        return -current;
    }
    let before = annotations::number(set, annotations::MAX_REPLICAS)
        .filter(|max| *max != 0)
        .unwrap_or(status_replicas);
    if before == 0 {
        return 0;
    }
    let scaled = f64::from(current) * f64::from(limits.max_total()) / f64::from(before);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a number of pods, bounded by the API far below i32::MAX"
    )]
    let rounded = scaled.round() as i32;
    rounded - current
}

#[cfg(test)]
mod tests;
