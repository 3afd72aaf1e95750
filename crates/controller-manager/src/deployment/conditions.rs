//! Conditions of a deployment: availability, progress and failures of a rollout.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub(super) const AVAILABLE: &str = "Available";
pub(super) const PROGRESSING: &str = "Progressing";
pub(super) const REPLICA_FAILURE: &str = "ReplicaFailure";

pub(super) const COMPLETE: &str = "NewReplicaSetAvailable";
pub(super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";
pub(super) const PAUSED: &str = "DeploymentPaused";

/// Added to a deadline, so that the check after it is never too early.
const DEADLINE_SLACK: Duration = Duration::from_secs(1);

pub(super) fn new(
    kind: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}

pub(super) fn get<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == kind)
}

pub(super) fn remove(status: &mut DeploymentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != kind);
    }
}

/// Sets `condition`. A condition with equal status and reason is kept, and one with equal status keeps its transition time.
pub(super) fn set(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    if let Some(old) = get(status, &condition.type_) {
        if old.status == condition.status && old.reason == condition.reason {
            return;
        }
        if old.status == condition.status {
            condition.last_transition_time = old.last_transition_time.clone();
        }
    }
    replace(status, condition);
}

fn replace(status: &mut DeploymentStatus, condition: DeploymentCondition) {
    remove(status, &condition.type_);
    status.conditions.get_or_insert_default().push(condition);
}

/// Returns the progress deadline; `None` without a limit.
pub(super) fn deadline(deployment: &Deployment) -> Option<Duration> {
    let seconds = deployment.spec.as_ref()?.progress_deadline_seconds?;
    (seconds != i32::MAX).then(|| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Returns `true` if all pods are of the new template and available.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let desired = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let counts = [
        status.updated_replicas,
        status.replicas,
        status.available_replicas,
    ];
    counts.iter().all(|count| count.unwrap_or(0) == desired)
        && status.observed_generation >= deployment.metadata.generation
}

/// Returns `true` if a count improved since `old`.
fn has_progressed(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let n = |count: Option<i32>| count.unwrap_or(0);
    let outdated = |status: &DeploymentStatus| n(status.replicas) - n(status.updated_replicas);
    n(new.updated_replicas) > n(old.updated_replicas)
        || outdated(new) < outdated(old)
        || n(new.ready_replicas) > n(old.ready_replicas)
        || n(new.available_replicas) > n(old.available_replicas)
}

/// Returns the time at which the deadline passes, counted from the last progress.
fn progress_deadline_at(
    deployment: &Deployment,
    condition: &DeploymentCondition,
) -> Option<Timestamp> {
    let deadline = SignedDuration::try_from(deadline(deployment)?).ok()?;
    condition
        .last_update_time
        .as_ref()?
        .0
        .checked_add(deadline)
        .ok()
}

fn has_timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> bool {
    let Some(condition) = get(status, PROGRESSING) else {
        return false;
    };
    match condition.reason.as_deref() {
        Some(COMPLETE) => false,
        Some(TIMED_OUT) => true,
        _ => progress_deadline_at(deployment, condition).is_some_and(|deadline| deadline < now),
    }
}

/// Updates the condition `Progressing` of `new`; `what` names the new replica set in messages.
pub(super) fn progress(
    deployment: &Deployment,
    new: &mut DeploymentStatus,
    what: &str,
    now: Timestamp,
) {
    let old = deployment.status.clone().unwrap_or_default();
    if deadline(deployment).is_none() {
        remove(new, PROGRESSING);
        return;
    }
    let current = get(&old, PROGRESSING).cloned();
    let reason = current
        .as_ref()
        .and_then(|condition| condition.reason.as_deref());
    if new.replicas == new.updated_replicas && reason == Some(COMPLETE) {
        return;
    }
    if is_complete(deployment, new) {
        let message = format!("{what} has successfully progressed.");
        set(new, self::new(PROGRESSING, "True", COMPLETE, message, now));
    } else if has_progressed(&old, new) {
        let message = format!("{what} is progressing.");
        let mut condition = self::new(PROGRESSING, "True", "ReplicaSetUpdated", message, now);
        if let Some(current) = current.filter(|current| current.status == "True") {
            condition.last_transition_time = current.last_transition_time;
        }
        // Every step updates the time, even with the same status and reason.
        replace(new, condition);
    } else if has_timed_out(deployment, new, now) {
        let message = format!("{what} has timed out progressing.");
        set(
            new,
            self::new(PROGRESSING, "False", TIMED_OUT, message, now),
        );
    }
}

/// Returns the time until the deadline has to be checked again.
pub(super) fn requeue_after(
    deployment: &Deployment,
    status: &DeploymentStatus,
    now: Timestamp,
) -> Option<Duration> {
    let condition = get(status, PROGRESSING)?;
    let settled = matches!(
        condition.reason.as_deref(),
        Some(TIMED_OUT | COMPLETE | PAUSED)
    );
    if settled || is_complete(deployment, status) {
        return None;
    }
    let left = progress_deadline_at(deployment, condition)?.duration_since(now);
    Some(Duration::try_from(left).unwrap_or(Duration::ZERO) + DEADLINE_SLACK)
}

#[cfg(test)]
mod tests;
