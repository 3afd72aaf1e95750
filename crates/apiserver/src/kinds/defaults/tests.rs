use super::*;

#[track_caller]
fn check(default: fn(&mut Value), given: Value, pointer: &str, expected: &Value) {
    let mut object = given;
    default(&mut object);
    assert_eq!(
        object.pointer(pointer),
        Some(expected),
        "{pointer} of {object}"
    );
}

#[test]
fn pod_has_the_defaults_of_the_api_server() {
    let given = || {
        json!({"spec": {
            "containers": [
                {"name": "a", "image": "x:1", "ports": [{"containerPort": 1}], "livenessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 0}, "resources": {"limits": {"cpu": "1"}}},
                {"name": "b", "image": "h:5000/x", "imagePullPolicy": "Never"},
            ],
            "volumes": [{"name": "v", "configMap": {"name": "c"}}, {"name": "e"}],
        }})
    };
    for (pointer, expected) in [
        ("/spec/restartPolicy", json!("Always")),
        ("/spec/terminationGracePeriodSeconds", json!(30)),
        ("/spec/enableServiceLinks", json!(true)),
        ("/spec/serviceAccountName", json!("default")),
        ("/spec/containers/0/imagePullPolicy", json!("IfNotPresent")),
        ("/spec/containers/0/ports/0/protocol", json!("TCP")),
        ("/spec/containers/0/livenessProbe/periodSeconds", json!(10)),
        ("/spec/containers/0/resources/requests/cpu", json!("1")),
        ("/spec/containers/1/imagePullPolicy", json!("Never")),
        ("/spec/volumes/0/configMap/defaultMode", json!(420)),
        ("/spec/volumes/1/emptyDir", json!({})),
    ] {
        check(pod, given(), pointer, &expected);
    }
    let mut once = given();
    pod(&mut once);
    let mut twice = once.clone();
    pod(&mut twice);
    assert_eq!(once, twice, "defaults are filled in once");
}

#[test]
fn string_data_of_a_secret_is_moved_to_data() {
    let mut given = json!({"data": {"a": "MQ=="}, "stringData": {"b": "2"}});
    secret(&mut given);
    assert_eq!(
        given,
        json!({"type": "Opaque", "data": {"a": "MQ==", "b": "Mg=="}})
    );
}

#[test]
fn pull_policy_follows_from_the_tag() {
    for (image, expected) in [
        ("x", "Always"),
        ("x:latest", "Always"),
        ("h:5000/x", "Always"),
        ("x:1", "IfNotPresent"),
        ("x@sha256:0", "IfNotPresent"),
    ] {
        assert_eq!(pull_policy(image), expected, "{image}");
    }
}

#[test]
fn deployment_has_bounds_of_25_percent_unless_it_recreates() {
    let given = |strategy: Value| json!({"spec": {"strategy": strategy, "template": {"spec": {"containers": []}}}});
    let pointer = "/spec/strategy/rollingUpdate/maxSurge";
    check(deployment, given(Value::Null), pointer, &json!("25%"));
    check(
        deployment,
        given(json!({"rollingUpdate": {"maxSurge": 1}})),
        pointer,
        &json!(1),
    );
    check(
        deployment,
        given(Value::Null),
        "/spec/template/spec/restartPolicy",
        &json!("Always"),
    );
    check(
        deployment,
        given(json!({"type": "Recreate"})),
        "/spec/strategy",
        &json!({"type": "Recreate"}),
    );
}

#[test]
fn replication_controller_has_selector_and_labels_of_its_template() {
    let given = |more: Value| {
        let mut given = json!({"metadata": {"name": "r"}, "spec": {
            "template": {"metadata": {"labels": {"a": "1"}}, "spec": {"containers": []}}}});
        json_patch::merge(&mut given, &more);
        given
    };
    let defaulted = replication_controller;
    for (more, pointer, expected) in [
        (json!({}), "/spec/replicas", json!(1)),
        (json!({}), "/spec/selector", json!({"a": "1"})),
        (json!({}), "/metadata/labels", json!({"a": "1"})),
        (
            json!({}),
            "/spec/template/spec/restartPolicy",
            json!("Always"),
        ),
        (
            json!({"spec": {"selector": {"a": "2"}}}),
            "/spec/selector",
            json!({"a": "2"}),
        ),
        (
            json!({"metadata": {"labels": {"b": "1"}}}),
            "/metadata/labels",
            json!({"b": "1"}),
        ),
    ] {
        check(defaulted, given(more), pointer, &expected);
    }
}

#[test]
fn target_port_defaults_to_the_port() {
    let given = || json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}, {"port": 81, "targetPort": "http"}]}});
    for (pointer, expected) in [
        ("/spec/ports/0/targetPort", json!(80)),
        ("/spec/ports/1/targetPort", json!("http")),
        ("/spec/externalTrafficPolicy", json!("Cluster")),
    ] {
        check(service, given(), pointer, &expected);
    }
    check(
        service,
        json!({"spec": {"sessionAffinity": "ClientIP"}}),
        "/spec/sessionAffinityConfig",
        &json!({"clientIP": {"timeoutSeconds": 10_800}}),
    );
    check(
        service,
        json!({"spec": {}}),
        "/spec/type",
        &json!("ClusterIP"),
    );
}
