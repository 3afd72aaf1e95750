use std::collections::BTreeSet;

use super::*;

fn kind(name: &str) -> &'static Kind {
    let mut kinds = crate::kinds::KINDS.iter();
    kinds.find(|kind| kind.kind == name).unwrap()
}

#[track_caller]
fn check_fields(name: &str, object: &Value, expected: &Value) {
    let found = fields::fields_of(kind(name), object, FieldScope::ExceptStatus);
    assert_eq!(fields::to_json(&found), *expected);
    assert_eq!(fields::from_json(expected), found);
    for path in &found {
        assert!(fields::get(object, path).is_some(), "{path:?}");
    }
}

#[test]
fn fields_are_leaves_keyed_elements_and_atomic_values() {
    check_fields(
        "ConfigMap",
        &json!({"apiVersion": "v1", "metadata": {"name": "x", "labels": {"a": "1"}, "finalizers": ["f"]}, "data": {"k": "v"}, "binaryData": {}}),
        &json!({
            "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {"v:\"f\"": {}}},
            "f:data": {"f:k": {}},
            "f:binaryData": {},
        }),
    );
    check_fields(
        "Deployment",
        &json!({"spec": {"selector": {"matchLabels": {"a": "1"}}, "template": {"spec": {
            "containers": [{"name": "c", "command": ["x"], "ports": [{"containerPort": 80}]}],
            "tolerations": [{"key": "t"}],
        }}}, "status": {"replicas": 1}}),
        &json!({"f:spec": {"f:selector": {}, "f:template": {"f:spec": {
            "f:containers": {"k:{\"name\":\"c\"}": {
                ".": {}, "f:name": {}, "f:command": {},
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
            }},
            "f:tolerations": {},
        }}}}),
    );
}

#[test]
fn path_is_displayed_in_message_format() {
    let port = r#"k:{"containerPort":80,"protocol":"TCP"}"#;
    for (path, expected) in [
        (vec!["f:spec", "f:replicas"], ".spec.replicas"),
        (
            vec!["f:containers", r#"k:{"name":"c"}"#, "f:ports", port],
            r#".containers[name="c"].ports[containerPort=80,protocol="TCP"]"#,
        ),
        (vec!["f:finalizers", r#"v:"x""#], r#".finalizers[="x"]"#),
    ] {
        let path: FieldPath = path.into_iter().map(str::to_owned).collect();
        assert_eq!(fields::display(&path), expected);
    }
}

#[test]
fn removing_a_field_removes_emptied_parents() {
    let steps = |text: &str| -> FieldPath { text.split(' ').map(str::to_owned).collect() };
    let object = json!({"data": {"a": "1"}, "list": [{"name": "x", "v": 1}, {"name": "y"}]});
    for (path, expected) in [
        ("f:data f:a", json!({"list": object["list"]})),
        ("f:data f:b", object.clone()),
        (
            r#"f:list k:{"name":"x"}"#,
            json!({"data": {"a": "1"}, "list": [{"name": "y"}]}),
        ),
        (
            r#"f:list k:{"name":"x"} f:v"#,
            json!({"data": {"a": "1"}, "list": [{"name": "x"}, {"name": "y"}]}),
        ),
    ] {
        let mut remaining = object.clone();
        fields::remove(&mut remaining, &steps(path));
        assert_eq!(remaining, expected, "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn field_set_survives_encoding_and_decoding(
        paths in proptest::collection::btree_set(proptest::collection::vec("f:[a-c]", 1..4), 0..8)
    ) {
        let set: BTreeSet<FieldPath> = paths;
        proptest::prop_assert_eq!(fields::from_json(&fields::to_json(&set)), set);
    }
}
