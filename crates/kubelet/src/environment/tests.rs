use serde_json::json;

use super::*;

fn pod() -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web"}, "annotations": {"note": "hi"}},
        "spec": {"nodeName": "node", "serviceAccountName": "default", "containers": []},
    }))
    .unwrap()
}

fn sources() -> Sources {
    let data = |value: &str| Some(BTreeMap::from([("key".to_owned(), value.to_owned())]));
    let service = json!({"metadata": {"name": "my-api"}, "spec": {
        "clusterIP": "10.96.0.9", "ports": [{"name": "web", "port": 80, "protocol": "TCP"}]}});
    Sources {
        maps: [("map".to_owned(), data("m")), ("none".to_owned(), None)].into(),
        secrets: [("secret".to_owned(), data("s"))].into(),
        services: vec![serde_json::from_value(service).unwrap()],
    }
}

fn variables(container: &serde_json::Value) -> Result<Vec<(String, String)>, String> {
    let mut named = container.clone();
    named["name"] = json!("c");
    let container: Container = serde_json::from_value(named).unwrap();
    let downward = DownwardContext {
        pod: &pod(),
        pod_ip: "10.244.0.2".to_owned(),
        node_ip: "10.0.0.1",
        allocatable: &BTreeMap::new(),
    };
    resolve(&downward, &container, &sources()).map_err(|error| error.to_string())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a table of literals reads better"
)]
#[track_caller]
fn check(container: serde_json::Value, name: &str, expected: Option<&str>) {
    let found = variables(&container)
        .unwrap()
        .into_iter()
        .find(|(known, _)| known == name);
    assert_eq!(
        found.as_ref().map(|(_, value)| value.as_str()),
        expected,
        "{container}"
    );
}

#[test]
fn values_are_expanded_with_variables_set_before() {
    check(
        json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2$(C)"}]}),
        "B",
        Some("12$(C)"),
    );
    check(json!({"env": [{"name": "A"}]}), "A", Some(""));
}

#[test]
fn value_from_reads_config_maps_secrets_fields_and_resources() {
    let from = |source: serde_json::Value| json!({"env": [{"name": "A", "valueFrom": source}]});
    check(
        from(json!({"configMapKeyRef": {"name": "map", "key": "key"}})),
        "A",
        Some("m"),
    );
    check(
        from(json!({"secretKeyRef": {"name": "secret", "key": "key"}})),
        "A",
        Some("s"),
    );
    check(
        from(json!({"configMapKeyRef": {"name": "map", "key": "other", "optional": true}})),
        "A",
        None,
    );
    check(
        from(json!({"configMapKeyRef": {"name": "none", "key": "key", "optional": true}})),
        "A",
        None,
    );
    check(
        from(json!({"fieldRef": {"fieldPath": "status.podIP"}})),
        "A",
        Some("10.244.0.2"),
    );
    check(
        json!({"resources": {"requests": {"cpu": "1500m"}}, "env": [
            {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}}]}),
        "A",
        Some("2"),
    );
}

#[test]
fn missing_references_are_errors_that_name_them() {
    let from = |source: serde_json::Value| {
        variables(&json!({"env": [{"name": "A", "valueFrom": source}]})).unwrap_err()
    };
    let key = from(json!({"configMapKeyRef": {"name": "map", "key": "other"}}));
    assert_eq!(key, "couldn't find key other in ConfigMap n/map");
    assert_eq!(
        from(json!({"secretKeyRef": {"name": "absent", "key": "key"}})),
        "Secret \"absent\" not found"
    );
    assert_eq!(
        from(json!({"fieldRef": {"fieldPath": "spec.colour"}})),
        "unsupported fieldPath: spec.colour"
    );
    let env_from =
        variables(&json!({"envFrom": [{"configMapRef": {"name": "none"}}]})).unwrap_err();
    assert_eq!(env_from, "configmap \"none\" not found");
}

#[test]
fn env_from_imports_all_keys_and_env_overrides_them() {
    let import = json!([{"prefix": "P_", "configMapRef": {"name": "map"}}, {"secretRef": {"name": "secret"}}]);
    check(json!({"envFrom": import}), "P_key", Some("m"));
    check(json!({"envFrom": import}), "key", Some("s"));
    check(
        json!({"envFrom": import, "env": [{"name": "key", "value": "own"}]}),
        "key",
        Some("own"),
    );
    check(
        json!({"envFrom": [{"configMapRef": {"name": "none", "optional": true}}]}),
        "key",
        None,
    );
}

#[test]
fn service_variables_are_set() {
    for (name, value) in [
        ("MY_API_SERVICE_HOST", "10.96.0.9"),
        ("MY_API_SERVICE_PORT", "80"),
        ("MY_API_SERVICE_PORT_WEB", "80"),
        ("MY_API_PORT", "tcp://10.96.0.9:80"),
        ("MY_API_PORT_80_TCP", "tcp://10.96.0.9:80"),
        ("MY_API_PORT_80_TCP_PROTO", "tcp"),
        ("MY_API_PORT_80_TCP_PORT", "80"),
        ("MY_API_PORT_80_TCP_ADDR", "10.96.0.9"),
    ] {
        check(json!({}), name, Some(value));
    }
}

#[test]
fn clock_speed_variable_is_added_unless_the_speed_is_one_or_it_is_set() {
    let set_by_container = || vec![(CLOCK_SPEED_VARIABLE.to_owned(), "1".to_owned())];
    for (mut env, speed, expected) in [
        (vec![], 1.0, None),
        (vec![], 5.0, Some("5")),
        (vec![], 0.5, Some("0.5")),
        (set_by_container(), 5.0, Some("1")),
    ] {
        add_clock_speed(&mut env, speed);
        let found = env.first().map(|(_, value)| value.as_str());
        assert_eq!(
            (found, env.len()),
            (expected, usize::from(expected.is_some()))
        );
    }
}
