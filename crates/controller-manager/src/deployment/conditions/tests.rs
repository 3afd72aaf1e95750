use serde_json::json;

use super::*;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

/// Creates a status from the counts: replicas, updated, ready, available.
fn status(counts: [i32; 4]) -> DeploymentStatus {
    DeploymentStatus {
        replicas: Some(counts[0]),
        updated_replicas: Some(counts[1]),
        ready_replicas: Some(counts[2]),
        available_replicas: Some(counts[3]),
        observed_generation: Some(1),
        ..DeploymentStatus::default()
    }
}

fn deployment(old: DeploymentStatus) -> Deployment {
    let spec =
        json!({"replicas": 3, "progressDeadlineSeconds": 60, "selector": {}, "template": {}});
    let mut deployment: Deployment =
        serde_json::from_value(json!({"metadata": {"generation": 1}, "spec": spec}))
            .expect("a deployment");
    deployment.status = Some(old);
    deployment
}

fn with(mut status: DeploymentStatus, reason: &str, value: &str, at: i64) -> DeploymentStatus {
    set(
        &mut status,
        new(PROGRESSING, value, reason, String::new(), second(at)),
    );
    status
}

/// Checks reason and update time after a step from `old` to `counts` at second 100.
#[track_caller]
fn check(old: DeploymentStatus, counts: [i32; 4], expected: Option<(&str, i64)>) {
    let mut fresh = DeploymentStatus {
        conditions: old.conditions.clone(),
        ..status(counts)
    };
    progress(
        &deployment(old),
        &mut fresh,
        "ReplicaSet \"x\"",
        second(100),
    );
    let seen = get(&fresh, PROGRESSING).map(|condition| {
        let updated = condition
            .last_update_time
            .as_ref()
            .map_or(0, |time| time.0.as_second());
        (condition.reason.as_deref().unwrap_or_default(), updated)
    });
    assert_eq!(seen, expected);
}

#[test]
fn improved_count_is_progress_and_updates_the_time() {
    let old = || with(status([3, 1, 1, 1]), "ReplicaSetUpdated", "True", 50);
    check(old(), [3, 2, 1, 1], Some(("ReplicaSetUpdated", 100)));
    check(old(), [2, 1, 1, 1], Some(("ReplicaSetUpdated", 100)));
    check(old(), [3, 1, 2, 1], Some(("ReplicaSetUpdated", 100)));
    check(old(), [3, 1, 1, 2], Some(("ReplicaSetUpdated", 100)));
    check(old(), [3, 1, 1, 1], Some(("ReplicaSetUpdated", 50)));
    check(old(), [4, 1, 0, 0], Some(("ReplicaSetUpdated", 50)));
}

#[test]
fn rollout_is_complete_when_all_pods_are_new_and_available() {
    let old = || with(status([3, 3, 3, 2]), "ReplicaSetUpdated", "True", 50);
    check(old(), [3, 3, 3, 3], Some((COMPLETE, 100)));
    check(old(), [4, 3, 3, 3], Some(("ReplicaSetUpdated", 100)));
}

#[test]
fn complete_rollout_stays_complete_when_pods_are_replaced() {
    check(
        with(status([3, 3, 3, 3]), COMPLETE, "True", 50),
        [3, 3, 1, 1],
        Some((COMPLETE, 50)),
    );
}

#[test]
fn rollout_times_out_after_its_deadline_and_not_at_it() {
    check(
        with(status([3, 1, 1, 1]), "ReplicaSetUpdated", "True", 39),
        [3, 1, 1, 1],
        Some((TIMED_OUT, 100)),
    );
    check(
        with(status([3, 1, 1, 1]), "ReplicaSetUpdated", "True", 40),
        [3, 1, 1, 1],
        Some(("ReplicaSetUpdated", 40)),
    );
    check(
        with(status([3, 1, 1, 1]), TIMED_OUT, "False", 1),
        [3, 1, 1, 1],
        Some((TIMED_OUT, 1)),
    );
    check(
        with(status([3, 1, 1, 1]), TIMED_OUT, "False", 1),
        [3, 1, 2, 1],
        Some(("ReplicaSetUpdated", 100)),
    );
}

#[test]
fn rollout_without_a_deadline_has_no_progressing_condition() {
    let mut deployment = deployment(with(status([3, 1, 1, 1]), "ReplicaSetUpdated", "True", 1));
    deployment
        .spec
        .as_mut()
        .expect("set above")
        .progress_deadline_seconds = Some(i32::MAX);
    let mut fresh = deployment.status.clone().expect("set above");
    progress(&deployment, &mut fresh, "x", second(100));
    assert!(get(&fresh, PROGRESSING).is_none());
}

#[test]
fn equal_condition_is_kept_and_equal_status_keeps_the_transition_time() {
    let mut status = with(DeploymentStatus::default(), "A", "True", 1);
    set(
        &mut status,
        new(PROGRESSING, "True", "A", "other".to_owned(), second(2)),
    );
    assert_eq!(
        get(&status, PROGRESSING).expect("set").last_update_time,
        Some(Time(second(1)))
    );
    set(
        &mut status,
        new(PROGRESSING, "True", "B", String::new(), second(3)),
    );
    let condition = get(&status, PROGRESSING).expect("set");
    assert_eq!(condition.last_update_time, Some(Time(second(3))));
    assert_eq!(condition.last_transition_time, Some(Time(second(1))));
    set(
        &mut status,
        new(PROGRESSING, "False", "B", String::new(), second(4)),
    );
    assert_eq!(
        get(&status, PROGRESSING).expect("set").last_transition_time,
        Some(Time(second(4)))
    );
}

#[test]
fn incomplete_rollout_is_requeued_one_second_after_its_deadline() {
    let again =
        |status: DeploymentStatus| requeue_after(&deployment(status.clone()), &status, second(100));
    let under_way = with(status([3, 1, 1, 1]), "ReplicaSetUpdated", "True", 90);
    assert_eq!(again(under_way), Some(Duration::from_secs(51)));
    assert_eq!(
        again(with(status([3, 3, 3, 3]), "ReplicaSetUpdated", "True", 90)),
        None
    );
    assert_eq!(
        again(with(status([3, 1, 1, 1]), TIMED_OUT, "False", 90)),
        None
    );
}
