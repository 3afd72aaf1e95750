//! Status of a deployment, computed from its replica sets.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet, ReplicaSetStatus,
};
use kube::ResourceExt;

use super::conditions;
use super::scaling::{RolloutLimits, available, total};

/// Computes the counts and the condition `Available`.
pub(super) fn counts(
    deployment: &Deployment,
    new: Option<&ReplicaSet>,
    all: &[&ReplicaSet],
    now: Timestamp,
) -> DeploymentStatus {
    let limits = RolloutLimits::from_deployment(deployment);
    let old = deployment.status.clone().unwrap_or_default();
    let statuses = || all.iter().filter_map(|set| set.status.as_ref());
    let available = all.iter().copied().map(available).sum::<i32>();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: non_zero(statuses().map(|status| status.replicas).sum()),
        updated_replicas: non_zero(
            new.and_then(|new| new.status.as_ref())
                .map_or(0, |status| status.replicas),
        ),
        ready_replicas: non_zero(statuses().filter_map(|status| status.ready_replicas).sum()),
        available_replicas: non_zero(available),
        unavailable_replicas: non_zero((total(all) - available).max(0)),
        collision_count: old.collision_count,
        conditions: old.conditions,
        ..DeploymentStatus::default()
    };
    let (value, reason, message) = if available >= limits.min_available() {
        (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    let condition = conditions::new(
        conditions::AVAILABLE,
        value,
        reason,
        message.to_owned(),
        now,
    );
    conditions::set(&mut status, condition);
    status
}

/// Computes the counts and the conditions `Available`, `Progressing` and `ReplicaFailure`.
pub(super) fn rollout(
    deployment: &Deployment,
    new: Option<&ReplicaSet>,
    all: &[&ReplicaSet],
    now: Timestamp,
) -> DeploymentStatus {
    let mut status = counts(deployment, new, all, now);
    let what = new.map_or_else(
        || format!("Deployment {:?}", deployment.name_any()),
        |new| format!("ReplicaSet {:?}", new.name_any()),
    );
    conditions::progress(deployment, &mut status, &what, now);
    match failure(new.into_iter().chain(all.iter().copied())) {
        Some(failure) => conditions::set(&mut status, failure),
        None => conditions::remove(&mut status, conditions::REPLICA_FAILURE),
    }
    status
}

/// Returns the first failure of a replica set; the new set is first.
fn failure<'a>(mut sets: impl Iterator<Item = &'a ReplicaSet>) -> Option<DeploymentCondition> {
    let of = |status: &'a ReplicaSetStatus| {
        status
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == conditions::REPLICA_FAILURE)
    };
    let found = sets.find_map(|set| of(set.status.as_ref()?))?;
    Some(DeploymentCondition {
        type_: found.type_.clone(),
        status: found.status.clone(),
        reason: found.reason.clone(),
        message: found.message.clone(),
        last_transition_time: found.last_transition_time.clone(),
        last_update_time: found.last_transition_time.clone(),
    })
}

/// Returns `None` for 0, which the API omits.
fn non_zero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
