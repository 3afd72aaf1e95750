use serde_json::json;

use super::*;
use crate::kinds::defaults;

fn texts(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn a_pod() -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}})
}

/// The errors of a good object after one change.
#[track_caller]
fn check(
    mut object: Value,
    default: fn(&mut Value),
    validate: fn(&Value, Option<&Value>) -> Vec<FieldError>,
    pointer: &str,
    value: Value,
    expected: &[&str],
) {
    default(&mut object);
    assert_eq!(
        texts(&validate(&object, None)),
        [""; 0],
        "without the change"
    );
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    parent[field] = value;
    default(&mut object);
    assert_eq!(texts(&validate(&object, None)), expected, "{pointer}");
}

#[test]
fn init_containers_and_hooks_have_rules_of_their_own() {
    let check = |pointer, value, expected: &[&str]| {
        check(a_pod(), defaults::pod, pod, pointer, value, expected);
    };
    let probe = json!({"tcpSocket": {"port": 1}});
    check(
        "/spec/initContainers",
        json!([
            {"name": "c", "image": "x", "readinessProbe": probe, "lifecycle": {}, "restartPolicy": "Never"},
            {"name": "s", "image": "x", "readinessProbe": probe, "lifecycle": {}, "restartPolicy": "Always"},
            {"name": "i"},
        ]),
        &[
            "spec.initContainers[0].restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            "spec.initContainers[0].lifecycle: Forbidden: may not be set for init containers without restartPolicy=Always",
            "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
            "spec.initContainers[2].image: Required value",
            "spec.containers[0].name: Duplicate value: \"c\"",
        ],
    );
    let hooks = |post_start: Value, pre_stop: Value| json!([{"name": "c", "image": "x", "lifecycle": {"postStart": post_start, "preStop": pre_stop}}]);
    check(
        "/spec/containers",
        hooks(json!({}), json!({"sleep": {"seconds": 31}})),
        &[
            "spec.containers[0].lifecycle.postStart: Required value: must specify a handler type",
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
        ],
    );
    check(
        "/spec/containers",
        hooks(
            json!({"exec": {"command": []}}),
            json!({"sleep": {"seconds": 1}, "tcpSocket": {"port": 0}}),
        ),
        &[
            "spec.containers[0].lifecycle.postStart.exec.command: Required value",
            "spec.containers[0].lifecycle.preStop.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.containers[0].lifecycle.preStop.sleep: Forbidden: may not specify more than 1 handler type",
        ],
    );
    check(
        "/spec/containers",
        hooks(
            json!({"tcpSocket": {"port": 1}}),
            json!({"sleep": {"seconds": 0}}),
        ),
        &[],
    );
}

#[test]
fn a_pod_is_refused_for_what_is_wrong_with_it() {
    let check = |pointer, value, expected: &[&str]| {
        check(a_pod(), defaults::pod, pod, pointer, value, expected);
    };
    check(
        "/metadata/name",
        json!(""),
        &["metadata.name: Required value: name or generateName is required"],
    );
    check(
        "/spec/containers",
        json!([]),
        &["spec.containers: Required value"],
    );
    check(
        "/spec/restartPolicy",
        json!("Sometimes"),
        &[
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ],
    );
    check(
        "/spec/dnsPolicy",
        json!("None"),
        &[
            "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None",
        ],
    );
    check(
        "/spec/activeDeadlineSeconds",
        json!(0),
        &[
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ],
    );
    check(
        "/spec/containers",
        json!([{"name": "c", "image": "x"}, {"name": "c"}]),
        &[
            "spec.containers[1].image: Required value",
            "spec.containers[1].name: Duplicate value: \"c\"",
        ],
    );
    check(
        "/spec/containers",
        json!([{"name": "c", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "../x"}]}]),
        &[
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
            "spec.containers[0].volumeMounts[0].subPath: Invalid value: \"../x\": must not contain '..'",
        ],
    );
    check(
        "/spec/containers",
        json!([{"name": "c", "image": "x", "ports": [{"containerPort": 0}], "env": [{"name": ""}], "livenessProbe": {"successThreshold": 2, "tcpSocket": {"port": 1}}}]),
        &[
            "spec.containers[0].ports[0].containerPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.containers[0].env[0].name: Required value",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ],
    );
}

/// The texts of the errors of an update of a running pod by `patch`; diffs are cut off.
fn pod_update_errors(old: &Value, patch: &Value) -> Vec<String> {
    let mut old_pod = a_pod();
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
        // Go does not tell an empty list from an unset field.
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
    let mut old = a_pod();
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
fn finalizers_are_not_added_to_an_object_that_is_being_deleted() {
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
fn a_nodes_provider_id_and_pod_cidrs_are_set_once() {
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
fn an_endpoint_slices_address_type_is_immutable() {
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
fn a_deadline_is_set_and_comes_nearer() {
    let at = |seconds: Option<i64>| {
        let mut object = a_pod();
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

fn a_deployment() -> Value {
    json!({"metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}},
    }})
}

#[test]
fn a_deployment_is_refused_for_what_is_wrong_with_it() {
    let check = |pointer, value, expected: &[&str]| {
        check(
            a_deployment(),
            defaults::deployment,
            deployment,
            pointer,
            value,
            expected,
        );
    };
    check(
        "/spec/replicas",
        json!(-1),
        &["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
    );
    check(
        "/spec/selector",
        Value::Null,
        &["spec.selector: Required value"],
    );
    check(
        "/spec/selector",
        json!({}),
        &["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    );
    check(
        "/spec/template/metadata/labels",
        json!({"app": "y"}),
        &[
            "spec.template.metadata.labels: Invalid value: {\"app\":\"y\"}: `selector` does not match template `labels`",
        ],
    );
    check(
        "/spec/template/spec/restartPolicy",
        json!("Never"),
        &[
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ],
    );
    let rolling = |unavailable: Value, surge: Value| json!({"rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}});
    let path = "spec.strategy.rollingUpdate";
    check(
        "/spec/strategy",
        rolling(json!(0), json!("0%")),
        &[&format!(
            "{path}.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"
        )],
    );
    check(
        "/spec/strategy",
        rolling(json!("101%"), json!("101%")),
        &[&format!(
            "{path}.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"
        )],
    );
    check(
        "/spec/progressDeadlineSeconds",
        json!(0),
        &["spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds"],
    );
    check(
        "/spec/strategy",
        json!({"type": "Recreate", "rollingUpdate": {}}),
        &[
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ],
    );
}

#[test]
fn a_replication_controller_is_refused_for_what_is_wrong_with_it() {
    let good = || {
        json!({"metadata": {"name": "r"}, "spec": {"selector": {"app": "r"}, "template": {
            "metadata": {"labels": {"app": "r"}},
            "spec": {"containers": [{"name": "c", "image": "x"}]},
        }}})
    };
    let check = |pointer, value, expected: &[&str]| {
        check(
            good(),
            defaults::replication_controller,
            replication_controller,
            pointer,
            value,
            expected,
        );
    };
    check(
        "/spec/replicas",
        json!(-1),
        &["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
    );
    check(
        "/spec/selector",
        json!({}),
        &["spec.selector: Required value"],
    );
    check(
        "/spec/selector",
        json!({"app": "x"}),
        &[
            "spec.template.metadata.labels: Invalid value: {\"app\":\"r\"}: `selector` does not match template `labels`",
        ],
    );
    let mut changed = good();
    changed["spec"]["selector"] = json!({"app": "r", "more": "1"});
    changed["spec"]["template"]["metadata"]["labels"] = json!({"app": "r", "more": "1"});
    defaults::replication_controller(&mut changed);
    let mut old = good();
    defaults::replication_controller(&mut old);
    assert_eq!(replication_controller(&changed, Some(&old)), []);
}

#[test]
fn a_selector_never_changes() {
    let mut old = a_deployment();
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
fn a_service_is_refused_for_what_is_wrong_with_it() {
    let good = || json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    let check = |pointer, value, expected: &[&str]| {
        check(good(), defaults::service, service, pointer, value, expected);
    };
    check("/spec/ports", json!([]), &["spec.ports: Required value"]);
    check(
        "/spec/type",
        json!("Cloud"),
        &[
            "spec.type: Unsupported value: \"Cloud\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ],
    );
    check(
        "/spec/ports",
        json!([{"port": 0, "targetPort": 1}, {"port": 80, "name": "b"}]),
        &[
            "spec.ports[0].name: Required value",
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ],
    );
    let mut old = good();
    defaults::service(&mut old);
    old["spec"]["clusterIP"] = json!("10.96.0.1");
    let mut new = old.clone();
    new["spec"]["clusterIP"] = json!("10.96.0.2");
    assert_eq!(
        texts(&service(&new, Some(&old))),
        ["spec.clusterIPs[0]: Invalid value: \"10.96.0.2\": may not change once set"]
    );
}

#[test]
fn config_maps_and_secrets_are_refused_for_their_keys() {
    let wrong = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let given = |list: &str, key: &str| json!({"metadata": {"name": "x"}, list: {key: "eA=="}});
    let empty = format!("data[]: Invalid value: \"\": {wrong}");
    assert_eq!(
        texts(&config_map(&given("data", ""), None)),
        std::slice::from_ref(&empty)
    );
    assert_eq!(texts(&secret(&given("data", ""), None)), [empty]);
    let slash = format!("binaryData[a/b]: Invalid value: \"a/b\": {wrong}");
    assert_eq!(
        texts(&config_map(&given("binaryData", "a/b"), None)),
        [slash]
    );
    assert_eq!(config_map(&given("data", "a.b"), None), []);
    let mut twice = given("data", "a");
    twice["binaryData"] = json!({"a": "eA=="});
    let expected = "binaryData[a]: Invalid value: \"a\": duplicate of key present in data";
    assert_eq!(texts(&config_map(&twice, None)), [expected]);
}

#[test]
fn what_is_immutable_stays_as_it_is() {
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

#[test]
fn a_disruption_budget_is_refused_for_what_is_wrong_with_it() {
    let check = |spec: Value, expected: &[&str]| {
        let object = json!({"metadata": {"name": "b"}, "spec": spec});
        assert_eq!(texts(&disruption_budget(&object, None)), expected, "{spec}");
    };
    for good in [
        json!({}),
        json!({"minAvailable": 1}),
        json!({"maxUnavailable": "100%"}),
    ] {
        check(good, &[]);
    }
    let negative = "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0";
    check(json!({"minAvailable": -1}), &[negative]);
    let above = "spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%";
    check(json!({"maxUnavailable": "101%"}), &[above]);
    for text in ["5", "%", "-1%", "a%"] {
        let expected = format!(
            "spec.minAvailable: Invalid value: {text:?}: a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
        );
        check(json!({"minAvailable": text}), &[&expected]);
    }
    let both = "spec: Invalid value: {\"maxUnavailable\":1,\"minAvailable\":1}: minAvailable and maxUnavailable cannot be both set";
    check(json!({"minAvailable": 1, "maxUnavailable": 1}), &[both]);
    let policy = "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Never\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"";
    check(json!({"unhealthyPodEvictionPolicy": "Never"}), &[policy]);
}
