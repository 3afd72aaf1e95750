use serde_json::{Value, json};

use super::*;

fn probe(value: &Value) -> Probe {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn absent_and_zero_fields_get_defaults() {
    for (fields, expected) in [
        (
            json!({"httpGet": {"port": 80}}),
            json!({"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}),
        ),
        (
            json!({"exec": {"command": ["x"]}, "timeoutSeconds": 0, "periodSeconds": 0, "successThreshold": 0, "failureThreshold": 0, "initialDelaySeconds": 0}),
            json!({"exec": {"command": ["x"]}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3, "initialDelaySeconds": 0}),
        ),
        (
            json!({"grpc": {"port": 1}, "timeoutSeconds": 5, "periodSeconds": 2, "successThreshold": 4, "failureThreshold": 7}),
            json!({"grpc": {"port": 1, "service": ""}, "timeoutSeconds": 5, "periodSeconds": 2, "successThreshold": 4, "failureThreshold": 7}),
        ),
    ] {
        let mut defaulted = probe(&fields);
        set_defaults(&mut defaulted);
        assert_eq!(serde_json::to_value(&defaulted).unwrap(), expected);
    }
}

#[track_caller]
fn check(kind: ProbeKind, given: &Value, expected: &[&str]) {
    let mut probe = probe(given);
    set_defaults(&mut probe);
    let found: Vec<String> = validate(&probe, kind, "p")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(found, expected, "{given}");
}

#[test]
fn probe_without_exactly_one_handler_is_invalid() {
    use ProbeKind::Liveness;
    check(
        Liveness,
        &json!({}),
        &["p: Required value: must specify a handler type"],
    );
    check(
        Liveness,
        &json!({"exec": {"command": ["x"]}, "tcpSocket": {"port": 1}, "grpc": {"port": 0}}),
        &[
            "p.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "p.grpc: Forbidden: may not specify more than 1 handler type",
        ],
    );
    check(
        Liveness,
        &json!({"exec": {"command": []}}),
        &["p.exec.command: Required value"],
    );
    check(
        Liveness,
        &json!({"exec": {}}),
        &["p.exec.command: Required value"],
    );
}

#[test]
fn numbers_out_of_range_are_invalid() {
    use ProbeKind::{Liveness, Readiness, Startup};
    let with = |name: &str, value: i64| json!({"tcpSocket": {"port": 1}, name: value});
    for name in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "failureThreshold",
    ] {
        let expected = format!("p.{name}: Invalid value: -1: must be greater than or equal to 0");
        check(Readiness, &with(name, -1), &[&expected]);
        check(Readiness, &with(name, 1), &[]);
    }
    check(Readiness, &with("successThreshold", 2), &[]);
    for kind in [Liveness, Startup] {
        let expected = "p.successThreshold: Invalid value: 2: must be 1";
        check(kind, &with("successThreshold", 2), &[expected]);
        let expected = "p.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0";
        check(kind, &with("terminationGracePeriodSeconds", 0), &[expected]);
        check(kind, &with("terminationGracePeriodSeconds", 1), &[]);
    }
    let expected =
        "p.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes";
    check(
        Readiness,
        &with("terminationGracePeriodSeconds", 5),
        &[expected],
    );
}

#[test]
fn port_is_a_number_in_range_or_a_valid_name() {
    let with = |port: Value| json!({"tcpSocket": {"port": port}});
    let kind = ProbeKind::Readiness;
    for port in [
        json!(1),
        json!(65535),
        json!("http"),
        json!("a-1"),
        json!("abcdefghijklmno"),
    ] {
        check(kind, &with(port), &[]);
    }
    for port in [0, -1, 65_536] {
        let expected = format!(
            "p.tcpSocket.port: Invalid value: {port}: must be between 1 and 65535, inclusive"
        );
        check(kind, &with(json!(port)), &[&expected]);
    }
    let rule =
        |port: &str, detail: &str| format!("p.tcpSocket.port: Invalid value: {port:?}: {detail}");
    for (port, details) in [
        ("8080", vec!["must contain at least one letter (a-z)"]),
        (
            "abcdefghijklmnop",
            vec!["must be no more than 15 characters"],
        ),
        ("a--b", vec!["must not contain consecutive hyphens"]),
        ("-a", vec!["must not begin or end with a hyphen"]),
        (
            "Http",
            vec!["must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"],
        ),
        (
            "",
            vec![
                "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                "must contain at least one letter (a-z)",
            ],
        ),
    ] {
        let expected: Vec<String> = details.iter().map(|detail| rule(port, detail)).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(kind, &with(json!(port)), &expected);
    }
}

#[test]
fn http_get_with_invalid_scheme_or_header_name_is_invalid() {
    let given = json!({"httpGet": {"port": 80, "scheme": "http", "httpHeaders": [{"name": "A b", "value": ""}, {"name": "Ok-1", "value": "\n"}]}});
    check(
        ProbeKind::Startup,
        &given,
        &[
            "p.httpGet.scheme: Unsupported value: \"http\": supported values: \"HTTP\", \"HTTPS\"",
            "p.httpGet.httpHeaders: Invalid value: \"A b\": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
        ],
    );
}
