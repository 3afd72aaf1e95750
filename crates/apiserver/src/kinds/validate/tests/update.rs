//! Updates of immutable fields, and of fields that may change in one direction.

use super::*;

/// Returns the error texts of an update of a running pod by `patch`, without diffs.
fn pod_update_errors(old: &Value, patch: &Value) -> Vec<String> {
    let mut old_pod = valid_pod();
    json_patch::merge(&mut old_pod, old);
    defaults::pod(&mut old_pod);
    let mut new = old_pod.clone();
    json_patch::merge(&mut new, patch);
    defaults::pod(&mut new);
    let errors = texts(&pod(&new, Some(&old_pod)));
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    errors.into_iter().map(first_line).collect()
}

#[test]
fn pod_update_of_a_mutable_field_is_accepted() {
    let toleration = |seconds: i64| json!({"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
    for (old, patch) in [
        (
            json!({}),
            json!({"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}}),
        ),
        (
            json!({}),
            json!({"spec": {"containers": [{"name": "c", "image": "y"}]}}),
        ),
        (json!({}), json!({"spec": {"activeDeadlineSeconds": 5}})),
        (
            json!({"spec": {"tolerations": [toleration(1)]}}),
            json!({"spec": {"tolerations": [{"operator": "Exists"}, toleration(2)]}}),
        ),
        (
            json!({"spec": {"terminationGracePeriodSeconds": -1}}),
            json!({"spec": {"terminationGracePeriodSeconds": 1}}),
        ),
        // An empty list is equal to an unset field in Go.
        (
            json!({}),
            json!({"spec": {"tolerations": [], "volumes": []}}),
        ),
    ] {
        assert_eq!(pod_update_errors(&old, &patch), [""; 0], "{old} {patch}");
    }
}

#[test]
fn pod_update_of_an_immutable_field_is_forbidden() {
    let immutable = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    let on_node = json!({"spec": {"nodeName": "a"}});
    for (old, patch, expected) in [
        (json!({}), json!({"spec": {"nodeName": "x"}}), immutable),
        (
            on_node.clone(),
            json!({"spec": {"nodeName": "x"}}),
            immutable,
        ),
        (on_node, json!({"spec": {"nodeName": null}}), immutable),
        (
            json!({}),
            json!({"spec": {"terminationGracePeriodSeconds": 1}}),
            immutable,
        ),
        (
            json!({}),
            json!({"spec": {"restartPolicy": "Never"}}),
            immutable,
        ),
        (json!({}), json!({"spec": {"hostname": "x"}}), immutable),
        (
            json!({}),
            json!({"spec": {"serviceAccountName": "x"}}),
            immutable,
        ),
        (json!({}), json!({"spec": {"priority": 5}}), immutable),
        (
            json!({}),
            json!({"spec": {"containers": [{"name": "c", "image": "x", "command": ["y"]}]}}),
            immutable,
        ),
        (
            json!({}),
            json!({"spec": {"containers": [{"name": "c", "image": "x"}, {"name": "d", "image": "x"}]}}),
            "spec.containers: Forbidden: pod updates may not add or remove containers",
        ),
        (
            json!({}),
            json!({"spec": {"initContainers": [{"name": "d", "image": "x"}]}}),
            "spec.initContainers: Forbidden: pod updates may not add or remove containers",
        ),
        (
            json!({}),
            json!({"spec": {"containers": [{"name": "c", "image": ""}]}}),
            "spec.containers[0].image: Required value",
        ),
        (
            json!({}),
            json!({"spec": {"containers": [{"name": "c", "image": " x"}]}}),
            "spec.containers[0].image: Invalid value: \" x\": must not have leading or trailing whitespace",
        ),
        (
            json!({"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}}),
            json!({"spec": {"tolerations": [{"key": "b", "operator": "Exists"}]}}),
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
    ] {
        assert_eq!(pod_update_errors(&old, &patch), [expected], "{old} {patch}");
    }
}

#[test]
fn pod_update_error_lists_the_fields_that_differ() {
    let mut old = valid_pod();
    defaults::pod(&mut old);
    let mut new = old.clone();
    new["spec"]["nodeName"] = json!("x");
    new["spec"]["dnsPolicy"] = json!("Default");
    new["spec"]["containers"][0]["tty"] = json!(true);
    let errors = texts(&pod(&new, Some(&old)));
    let (_, diff) = errors[0].split_once('\n').unwrap();
    let expected = [
        "  core.PodSpec{",
        "+ \tContainers[0].Tty: true,",
        "- \tDNSPolicy: \"ClusterFirst\",",
        "+ \tDNSPolicy: \"Default\",",
        "+ \tNodeName: \"x\",",
        "  }",
    ];
    assert_eq!(diff.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn finalizers_of_an_object_under_deletion_are_not_added() {
    let deleted = |finalizers: &[&str]| json!({"metadata": {"name": "x", "deletionTimestamp": "2026-01-02T03:04:05Z", "finalizers": finalizers}});
    let old = deleted(&["a/b", "c/d"]);
    assert_eq!(config_map(&deleted(&["a/b"]), Some(&old)), []);
    assert_eq!(
        texts(&config_map(&deleted(&["a/b", "e/f"]), Some(&old))),
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"e/f\"}"
        ]
    );
}

#[test]
fn provider_id_and_pod_cidrs_of_a_node_are_set_once() {
    let with = |spec: Value| json!({"metadata": {"name": "n"}, "spec": spec});
    let old = with(json!({"providerID": "a", "podCIDRs": ["10.0.0.0/24"]}));
    assert_eq!(node(&old, Some(&with(json!({})))), []);
    let mut tainted = old.clone();
    tainted["spec"]["unschedulable"] = json!(true);
    assert_eq!(node(&tainted, Some(&old)), []);
    let new = with(json!({"providerID": "b"}));
    assert_eq!(
        texts(&node(&new, Some(&old))),
        [
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
            "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid",
        ]
    );
}

#[test]
fn address_type_of_an_endpoint_slice_is_immutable() {
    let slice =
        |kind: &str| json!({"metadata": {"name": "s"}, "addressType": kind, "endpoints": []});
    assert_eq!(endpoint_slice(&slice("IPv4"), Some(&slice("IPv4"))), []);
    assert_eq!(
        texts(&endpoint_slice(&slice("IPv6"), Some(&slice("IPv4")))),
        ["addressType: Invalid value: \"IPv6\": field is immutable"]
    );
    assert_eq!(
        texts(&endpoint_slice(&slice("x"), None)),
        ["addressType: Unsupported value: \"x\": supported values: \"FQDN\", \"IPv4\", \"IPv6\""]
    );
}

#[test]
fn deadline_can_be_set_and_decreased() {
    let at = |seconds: Option<i64>| {
        let mut object = valid_pod();
        object["spec"]["activeDeadlineSeconds"] = json!(seconds);
        defaults::pod(&mut object);
        object
    };
    for (old, new, expected) in [
        (None, Some(60), ""),
        (Some(60), Some(60), ""),
        (Some(60), Some(5), ""),
        (Some(60), Some(0), ""),
        (
            Some(60),
            Some(61),
            "Invalid value: 61: must be less than or equal to previous value",
        ),
        (
            Some(60),
            None,
            "Invalid value: null: must not update from a positive integer to nil value",
        ),
        (
            None,
            Some(-1),
            "Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ),
        (
            None,
            Some(1 << 31),
            "Invalid value: 2147483648: must be between 0 and 2147483647, inclusive",
        ),
    ] {
        let errors = texts(&pod(&at(new), Some(&at(old))));
        let field = "spec.activeDeadlineSeconds: ";
        let found: Vec<_> = errors
            .iter()
            .filter_map(|error| error.strip_prefix(field))
            .collect();
        assert_eq!(found.concat(), expected, "{old:?} to {new:?}");
        assert_eq!(errors.len(), found.len(), "{errors:?}");
    }
}

#[test]
fn selector_is_immutable() {
    let mut old = valid_deployment();
    defaults::deployment(&mut old);
    let mut new = old.clone();
    new["spec"]["selector"]["matchLabels"] = json!({"app": "y"});
    new["spec"]["template"]["metadata"]["labels"] = json!({"app": "y"});
    assert_eq!(
        texts(&deployment(&new, Some(&old))),
        ["spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"y\"}}: field is immutable"]
    );
}

#[test]
fn immutable_config_maps_and_secrets_do_not_change() {
    let given = |immutable: bool, value: &str, kind: &str| json!({"metadata": {"name": "x"}, "type": kind, "immutable": immutable, "data": {"a": value}});
    let why = "field is immutable when `immutable` is set";
    for (old, new, expected) in [
        (given(true, "1", "t"), given(true, "1", "t"), vec![]),
        (given(false, "1", "t"), given(true, "2", "t"), vec![]),
        (
            given(true, "1", "t"),
            given(true, "2", "t"),
            vec![format!("data: Forbidden: {why}")],
        ),
        (
            given(true, "1", "t"),
            given(false, "1", "t"),
            vec![format!("immutable: Forbidden: {why}")],
        ),
    ] {
        assert_eq!(
            texts(&config_map(&new, Some(&old))),
            expected,
            "{old} {new}"
        );
        assert_eq!(texts(&secret(&new, Some(&old))), expected, "{old} {new}");
    }
    let changed = secret(&given(false, "1", "u"), Some(&given(false, "1", "t")));
    let expected = "type: Invalid value: \"u\": field is immutable";
    assert_eq!(texts(&changed), [expected]);
}
