use serde_json::{Value, json};

use super::*;

fn deployment(replicas: i32, strategy: &Value) -> Deployment {
    let spec = json!({"replicas": replicas, "strategy": strategy, "selector": {}, "template": {}});
    serde_json::from_value(json!({"spec": spec})).expect("a deployment")
}

fn rolling(surge: &Value, unavailable: &Value) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

fn set(replicas: i32, available: i32) -> ReplicaSet {
    let value = json!({
        "metadata": {"name": "api"},
        "spec": {"replicas": replicas, "selector": {}},
        "status": {"replicas": replicas, "availableReplicas": available},
    });
    serde_json::from_value(value).expect("a replica set")
}

fn limits(replicas: i32, surge: i32, unavailable: i32) -> RolloutLimits {
    RolloutLimits {
        replicas,
        surge,
        unavailable,
        rolling: true,
    }
}

#[track_caller]
fn check_bounds(replicas: i32, strategy: &Value, surge: i32, unavailable: i32) {
    let limits = RolloutLimits::from_deployment(&deployment(replicas, strategy));
    assert_eq!(
        (limits.surge, limits.unavailable),
        (surge, unavailable),
        "{replicas} replicas"
    );
}

#[test]
fn percentages_round_up_for_surge_and_down_for_unavailable() {
    let rows = [
        (1, 1, 0),
        (2, 1, 0),
        (3, 1, 0),
        (4, 1, 1),
        (5, 2, 1),
        (8, 2, 2),
        (10, 3, 2),
    ];
    for (replicas, surge, unavailable) in rows {
        check_bounds(
            replicas,
            &rolling(&json!("25%"), &json!("25%")),
            surge,
            unavailable,
        );
        check_bounds(replicas, &Value::Null, surge, unavailable);
    }
}

#[test]
fn bounds_that_both_round_to_zero_allow_one_unavailable_pod() {
    check_bounds(3, &rolling(&json!(0), &json!("10%")), 0, 1);
    check_bounds(0, &rolling(&json!(0), &json!("10%")), 0, 0);
}

#[test]
fn maximum_unavailable_is_at_most_the_replicas() {
    check_bounds(3, &rolling(&json!(7), &json!(5)), 7, 3);
}

#[test]
fn recreate_has_no_bounds() {
    check_bounds(4, &json!({"type": "Recreate"}), 0, 0);
}

#[track_caller]
fn check_new(limits: RolloutLimits, current: i32, total: i32, expected: i32) {
    assert_eq!(new_rs_replicas(limits, current, total), expected);
}

#[test]
fn new_set_grows_within_the_maximum_total() {
    check_new(limits(3, 1, 0), 0, 3, 1);
    check_new(limits(3, 1, 0), 1, 4, 1);
    check_new(limits(3, 1, 0), 1, 3, 2);
    check_new(limits(4, 1, 1), 1, 4, 2);
    check_new(limits(3, 5, 0), 0, 3, 3);
    check_new(limits(3, 1, 0), 2, 9, 2);
    check_new(limits(3, 1, 0), 5, 5, 3);
    check_new(
        RolloutLimits {
            rolling: false,
            ..limits(3, 0, 0)
        },
        0,
        3,
        3,
    );
}

#[track_caller]
fn check_old(limits: RolloutLimits, new: (i32, i32), old: &[(i32, i32)], expected: &[i32]) {
    let new = set(new.0, new.1);
    let old: Vec<ReplicaSet> = old
        .iter()
        .map(|(replicas_of, available)| set(*replicas_of, *available))
        .collect();
    let old: Vec<&ReplicaSet> = old.iter().collect();
    assert_eq!(scale_down_old(limits, Some(&new), &old), expected);
}

#[test]
fn old_sets_shrink_only_as_new_pods_become_available() {
    check_old(limits(3, 1, 0), (1, 0), &[(3, 3)], &[3]);
    check_old(limits(3, 1, 0), (1, 1), &[(3, 3)], &[2]);
    check_old(limits(10, 3, 2), (3, 0), &[(10, 10)], &[8]);
    check_old(limits(10, 3, 2), (5, 0), &[(8, 8)], &[8]);
    check_old(limits(3, 1, 0), (3, 3), &[(1, 1)], &[0]);
}

#[test]
fn unavailable_old_pods_are_removed_first_from_the_oldest_set() {
    check_old(limits(3, 1, 0), (1, 1), &[(2, 2), (1, 0)], &[2, 0]);
    check_old(limits(4, 2, 0), (1, 1), &[(2, 1), (3, 1)], &[1, 2]);
    check_old(limits(2, 1, 0), (1, 0), &[(2, 0)], &[2]);
    check_old(limits(10, 0, 2), (0, 0), &[(10, 8)], &[8]);
}

#[test]
fn available_pods_are_removed_from_the_oldest_set_first() {
    check_old(limits(4, 2, 2), (2, 2), &[(2, 2), (2, 2)], &[0, 0]);
    check_old(limits(4, 2, 1), (2, 2), &[(2, 2), (2, 2)], &[0, 1]);
}

fn sized(replicas: i32, max: i32) -> ReplicaSet {
    let mut set = set(replicas, replicas);
    kube::ResourceExt::annotations_mut(&mut set)
        .insert(annotations::MAX_REPLICAS.to_owned(), max.to_string());
    set
}

#[track_caller]
fn check_proportional(limits: RolloutLimits, sets: &[(i32, i32)], expected: &[i32]) {
    let sets: Vec<ReplicaSet> = sets
        .iter()
        .map(|(replicas_of, max)| sized(*replicas_of, *max))
        .collect();
    let sets: Vec<&ReplicaSet> = sets.iter().collect();
    assert_eq!(proportional(limits, 10, &sets), expected);
}

#[test]
fn changed_replicas_are_distributed_in_proportion_and_the_remainder_to_the_largest() {
    check_proportional(limits(15, 3, 2), &[(8, 13), (5, 13)], &[11, 7]);
    check_proportional(limits(20, 0, 2), &[(5, 10), (5, 10)], &[10, 10]);
    check_proportional(limits(5, 0, 1), &[(5, 10), (5, 10)], &[2, 3]);
    check_proportional(limits(0, 0, 0), &[(8, 13), (5, 13)], &[0, 0]);
    check_proportional(limits(11, 0, 0), &[(5, 10), (5, 10)], &[6, 5]);
    check_proportional(limits(6, 0, 0), &[(2, 5), (2, 5), (1, 5)], &[3, 2, 1]);
}

#[test]
fn without_a_maximum_annotation_the_status_is_the_base() {
    let (a, b) = (set(6, 6), set(4, 4));
    assert_eq!(proportional(limits(20, 0, 1), 10, &[&a, &b]), [12, 8]);
}
