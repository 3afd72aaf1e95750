use serde_json::json;

use super::*;
use crate::kinds;

#[expect(
    clippy::needless_pass_by_value,
    reason = "a table of literals reads better"
)]
#[track_caller]
fn check(plural: &str, object: Value, patch: Value, expected: Value) {
    let kind = kinds::KINDS
        .iter()
        .find(|kind| kind.plural == plural)
        .unwrap();
    let mut merged = object.clone();
    merge(kind, &mut merged, &patch).unwrap();
    assert_eq!(merged, expected, "{object} patched by {patch}");
}

#[test]
fn maps_are_merged_and_null_removes_a_field() {
    check(
        "pods",
        json!({"a": {"b": 1, "c": 2}}),
        json!({"a": {"b": null, "d": 3}}),
        json!({"a": {"c": 2, "d": 3}}),
    );
    check(
        "pods",
        json!({"a": 1}),
        json!({"a": {"b": 1}}),
        json!({"a": {"b": 1}}),
    );
}

#[test]
fn keyed_list_is_merged_by_key() {
    check(
        "pods",
        json!({"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}),
        json!({"containers": [{"name": "a", "image": "y"}, {"name": "c"}]}),
        json!({"containers": [{"name": "a", "image": "y"}, {"name": "b"}, {"name": "c"}]}),
    );
    check(
        "services",
        json!({"ports": [{"port": 80, "name": "a"}]}),
        json!({"ports": [{"port": 80, "name": "b"}, {"port": 81}]}),
        json!({"ports": [{"port": 80, "name": "b"}, {"port": 81}]}),
    );
    check(
        "deployments",
        json!({"ports": [{"containerPort": 80}]}),
        json!({"ports": [{"containerPort": 80, "name": "b"}]}),
        json!({"ports": [{"containerPort": 80, "name": "b"}]}),
    );
    check(
        "pods",
        json!({"conditions": [{"type": "Ready", "status": "False"}]}),
        json!({"conditions": [{"type": "Ready", "status": "True"}]}),
        json!({"conditions": [{"type": "Ready", "status": "True"}]}),
    );
}

#[test]
fn other_list_is_replaced() {
    check(
        "pods",
        json!({"args": ["a", "b"]}),
        json!({"args": ["c"]}),
        json!({"args": ["c"]}),
    );
    check(
        "endpoints",
        json!({"addresses": [{"ip": "1"}], "ports": [{"port": 1}]}),
        json!({"addresses": [{"ip": "2"}], "ports": [{"port": 2}]}),
        json!({"addresses": [{"ip": "2"}], "ports": [{"port": 2}]}),
    );
}

#[test]
fn list_elements_follow_directives() {
    check(
        "pods",
        json!({"env": [{"name": "a"}, {"name": "b"}]}),
        json!({"env": [{"name": "a", "$patch": "delete"}, {"name": "z", "$patch": "delete"}]}),
        json!({"env": [{"name": "b"}]}),
    );
    check(
        "pods",
        json!({"env": [{"name": "a"}]}),
        json!({"env": [{"$patch": "replace"}, {"name": "b"}]}),
        json!({"env": [{"name": "b"}]}),
    );
    check(
        "pods",
        json!({"env": [{"name": "a"}, {"name": "b"}, {"name": "x"}]}),
        json!({"$setElementOrder/env": [{"name": "b"}, {"name": "a"}], "env": [{"name": "a", "value": "1"}]}),
        json!({"env": [{"name": "b"}, {"name": "a", "value": "1"}, {"name": "x"}]}),
    );
}

#[test]
fn set_is_merged_and_values_are_deleted_by_directive() {
    check(
        "pods",
        json!({"finalizers": ["a"]}),
        json!({"finalizers": ["a", "b"]}),
        json!({"finalizers": ["a", "b"]}),
    );
    check(
        "pods",
        json!({"finalizers": ["a", "b"]}),
        json!({"$deleteFromPrimitiveList/finalizers": ["a"]}),
        json!({"finalizers": ["b"]}),
    );
}

#[test]
fn map_follows_directives() {
    check(
        "pods",
        json!({"a": {"b": 1}}),
        json!({"a": {"$patch": "delete"}}),
        json!({}),
    );
    check(
        "pods",
        json!({"a": {"b": 1}}),
        json!({"a": {"$patch": "replace", "c": 2}}),
        json!({"a": {"c": 2}}),
    );
    check(
        "deployments",
        json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}}),
        json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
        json!({"strategy": {"type": "Recreate"}}),
    );
}

#[test]
fn element_without_merge_key_and_unknown_directive_are_rejected() {
    let kind = kinds::find("", "v1", "pods").unwrap();
    for patch in [
        json!({"env": [{"value": "x"}]}),
        json!({"env": ["x"]}),
        json!({"a": {"$patch": "shuffle"}}),
        json!([]),
    ] {
        assert!(merge(kind, &mut json!({}), &patch).is_err(), "{patch}");
    }
}
