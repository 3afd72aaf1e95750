//! Reports of all mistakes of a file, of missing files, and of unsupported values.

use super::*;

#[test]
fn all_mistakes_of_a_file_are_reported_together_in_terms_of_yaml() {
    let text = "healthyWhen: stale
targets:
- name: a
  livenessProbe:
    tcpSocket: {port: 1}
    periodSeconds: often
    timeoutSeconds: [1]
    extensions: {periodMilliseconds: 5, jitterMilliseconds: soon}
- name: true
  readinessProbe: {tcpSocket: {port: 1}}
- a
- readinessProbe: {tcpSocket: {port: 1}}
groups:
- {name: g, members: [livez/a, readyz/b]}
- {name: h}
actions:
- {name: x, when: {probe: livez/a}, exit: {code: 256}, coolDownSeconds: 5s}
";
    assert_problems(
        text,
        "c.yaml:1: healthyWhen: Invalid value: \"stale\": must be a list
c.yaml:6: targets[0].livenessProbe.periodSeconds: Invalid value: \"often\": must be an integer
c.yaml:7: targets[0].livenessProbe.timeoutSeconds: Invalid value: a list: must be an integer
c.yaml:8: targets[0].livenessProbe.extensions.jitterMilliseconds: Invalid value: \"soon\": must be an integer
c.yaml:9: targets[1].name: Invalid value: true: must be a string
c.yaml:11: targets[2]: Invalid value: \"a\": must be a mapping
c.yaml:12: targets[3].name: Required value
c.yaml:14: groups[0].members[1]: Not found: \"readyz/b\"
c.yaml:15: groups[1].members: Required value
c.yaml:17: actions[0].coolDownSeconds: Invalid value: \"5s\": must be an integer
c.yaml:17: actions[0].exit.code: Invalid value: 256: must be an integer from 0 to 255",
    );
}

#[test]
fn duplicate_keys_are_reported_with_other_problems() {
    assert_problems(
        "targets:
- name: a
  livenessProbe: {tcpSocket: {port: 1}}
  livenessProbe: {tcpSocket: {port: 2}, periodSecond: 1}
",
        "c.yaml:4: duplicate key \"livenessProbe\"
c.yaml:4: targets[0].livenessProbe.periodSecond: unknown field",
    );
    assert_problems("", "c.yaml: the file is empty");
}

#[test]
fn missing_files_are_reported_with_line_and_field() {
    let text = probe(
        "livenessProbe",
        "httpGet: {port: 1, scheme: HTTPS}\nextensions:\n  tls: {caFile: /nope}",
    );
    let options = ParseOptions {
        check_files: true,
        ..ParseOptions::default()
    };
    let error = parse("c.yaml", text.as_bytes(), &options)
        .unwrap_err()
        .to_string();
    let expected =
        "c.yaml:6: targets[0].livenessProbe.extensions.tls: cannot read certificates in /nope: ";
    assert!(error.starts_with(expected), "{error}");
    let text = probe(
        "livenessProbe",
        "extensions:\n  postgres: {passwordFile: /nope}",
    );
    let error = parse("c.yaml", text.as_bytes(), &options)
        .unwrap_err()
        .to_string();
    let expected =
        "c.yaml:5: targets[0].livenessProbe.extensions.postgres.passwordFile: cannot read /nope: ";
    assert!(error.starts_with(expected), "{error}");
    assert!(read(&text).is_ok(), "without check_files");
}

#[test]
fn brackets_of_ipv6_hosts_are_removed() {
    let handler = |host: &str, own: &str| {
        let text = format!(
            "targets: [{{name: a, host: '{host}', readinessProbe: {{httpGet: {{port: 80{own}}}}}}}]"
        );
        format!("{:?}", read(&text).unwrap().targets[0].probes[0].handler)
    };
    for (host, own) in [("[::1]", ""), ("::1", ""), ("h", ", host: '[::1]'")] {
        let handler = handler(host, own);
        assert!(handler.contains("http://[::1]:80/"), "{handler}");
    }
}

#[test]
fn environment_from_references_is_rejected() {
    assert_problems(
        "targets:
- name: a
  env:
  - {name: P, valueFrom: {fieldRef: {fieldPath: x}}}
  livenessProbe: {exec: {command: [x]}}
",
        "c.yaml:4: targets[0].env[0].valueFrom: Forbidden: not supported: the sidecar has no access to the Kubernetes API",
    );
}

#[test]
fn known_fields_of_a_probe_are_those_of_kubernetes() {
    let mut known = serde_json::json!({
        "exec": {"command": ["x"]},
        "failureThreshold": 1,
        "grpc": {"port": 1, "service": "s"},
        "httpGet": {
            "host": "h", "httpHeaders": [{"name": "n", "value": "v"}], "path": "/", "port": 1, "scheme": "HTTP",
        },
        "initialDelaySeconds": 1,
        "periodSeconds": 1,
        "successThreshold": 1,
        "tcpSocket": {"host": "h", "port": 1},
        "terminationGracePeriodSeconds": 1,
        "timeoutSeconds": 1,
    });
    let unknown = |value: &serde_json::Value| {
        let mut problems = Problems::default();
        typed::report_unknown_fields(value, target::PROBE_FIELDS, "", &mut problems);
        problems.len()
    };
    assert_eq!(unknown(&known), 0);
    // The type keeps every known field, and has no other one.
    let parsed: k8s_openapi::api::core::v1::Probe = serde_json::from_value(known.clone()).unwrap();
    assert_eq!(serde_json::to_value(&parsed).unwrap(), known);
    let debug = format!("{parsed:?}");
    assert!(
        !debug.contains("None"),
        "a field is missing in this test: {debug}"
    );
    let field = serde_json::Value::from(1);
    for path in [
        "",
        "/exec",
        "/grpc",
        "/httpGet",
        "/httpGet/httpHeaders/0",
        "/tcpSocket",
    ] {
        let object = known.pointer_mut(path).unwrap().as_object_mut().unwrap();
        object.insert("other".to_owned(), field.clone());
    }
    assert_eq!(unknown(&known), 6);
}
