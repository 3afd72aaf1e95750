use serde_json::json;

use super::*;
use crate::kinds::defaults;

mod update;

fn texts(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn valid_pod() -> Value {
    json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}})
}

fn valid_deployment() -> Value {
    json!({"metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}},
    }})
}

/// Checks the errors of a valid object after one change.
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
fn init_containers_and_hooks_are_validated() {
    let check = |pointer, value, expected: &[&str]| {
        check(valid_pod(), defaults::pod, pod, pointer, value, expected);
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
fn invalid_pods_are_rejected() {
    let check = |pointer, value, expected: &[&str]| {
        check(valid_pod(), defaults::pod, pod, pointer, value, expected);
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

#[test]
fn invalid_deployments_are_rejected() {
    let check = |pointer, value, expected: &[&str]| {
        check(
            valid_deployment(),
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
fn invalid_replication_controllers_are_rejected() {
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
fn invalid_services_are_rejected() {
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
fn config_maps_and_secrets_with_invalid_keys_are_rejected() {
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
fn invalid_disruption_budgets_are_rejected() {
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
