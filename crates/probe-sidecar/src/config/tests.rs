mod mistakes;

use std::time::Duration;

use super::*;
use crate::spec::{Handler, Policy, Require};

fn read(text: &str) -> Result<Config, ConfigError> {
    parse("c.yaml", text.as_bytes(), &ParseOptions::default())
}

#[track_caller]
fn assert_problems(text: &str, expected: &str) {
    let error = read(text).expect_err("the configuration was accepted");
    assert_eq!(error.to_string(), expected);
}

/// Returns a target with one probe; `fields` are its lines.
fn probe(kind: &str, fields: &str) -> String {
    let fields: String = fields.lines().map(|line| format!("    {line}\n")).collect();
    format!("targets:\n- name: a\n  {kind}:\n{fields}")
}

#[test]
fn probe_of_a_manifest_has_the_defaults_of_kubernetes() {
    let text = probe("readinessProbe", "httpGet:\n  port: 80");
    let config = read(&text).unwrap();
    let probe = &config.targets[0].probes[0];
    assert_eq!(
        (probe.period, probe.timeout, probe.initial_delay),
        (
            Duration::from_secs(10),
            Duration::from_secs(1),
            Duration::ZERO
        )
    );
    assert_eq!((probe.success_threshold, probe.failure_threshold), (1, 3));
    assert_eq!(probe.stale_after, Duration::from_secs(31));
    let Handler::Kubernetes(probe::ResolvedHandler::Http(get)) = &probe.handler else {
        panic!("{probe:?}");
    };
    assert_eq!(get.url, "http://127.0.0.1:80/");
}

#[test]
fn port_names_and_variables_are_resolved_in_the_target() {
    let text = "
targets:
- name: a
  host: 10.0.0.7
  ports: [{name: http, containerPort: 8080}]
  env: [{name: MODE, value: quick}]
  livenessProbe: {exec: {command: [check, $(MODE)]}}
  readinessProbe: {tcpSocket: {port: http}}
";
    let config = read(text).unwrap();
    let handlers: Vec<String> = config.targets[0]
        .probes
        .iter()
        .map(|probe| format!("{:?}", probe.handler))
        .collect();
    assert_eq!(
        handlers,
        [
            r#"Exec { command: ["check", "quick"], env: [("MODE", "quick")] }"#,
            r#"Kubernetes(Tcp { host: "10.0.0.7", port: 8080 })"#,
        ]
    );
}

#[test]
fn milliseconds_take_precedence_over_seconds() {
    let text = probe(
        "livenessProbe",
        "tcpSocket: {port: 1}\nperiodSeconds: 5\nextensions:\n  periodMilliseconds: 200\n  timeoutMilliseconds: 50\n  initialDelayMilliseconds: 7",
    );
    let config = read(&text).unwrap();
    let probe = &config.targets[0].probes[0];
    assert_eq!(
        [probe.period, probe.timeout, probe.initial_delay].map(|time| time.as_millis()),
        [200, 50, 7]
    );
}

#[test]
fn probe_that_kubernetes_rejects_is_a_problem_with_its_line() {
    assert_problems(
        &probe(
            "livenessProbe",
            "tcpSocket: {port: 0}\nsuccessThreshold: 2\nperiodSeconds: -1",
        ),
        "c.yaml:4: targets[0].livenessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive\n\
         c.yaml:5: targets[0].livenessProbe.successThreshold: Invalid value: 2: must be 1\n\
         c.yaml:6: targets[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
    );
    assert_problems(
        &probe("livenessProbe", "periodSeconds: 1"),
        "c.yaml:3: targets[0].livenessProbe: Required value: must specify a handler type",
    );
    assert_problems(
        &probe("startupProbe", "tcpSocket: {port: 1}\nexec: {command: [x]}"),
        "c.yaml:4: targets[0].startupProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
    );
}

#[test]
fn unknown_fields_are_all_reported() {
    assert_problems(
        &probe(
            "livenessProbe",
            "tcpSocket:\n  port: 1\n  prot: 2\nperiodSecond: 3\nextensions:\n  periodMillis: 4",
        ),
        "c.yaml:6: targets[0].livenessProbe.tcpSocket.prot: unknown field\n\
         c.yaml:7: targets[0].livenessProbe.periodSecond: unknown field\n\
         c.yaml:9: targets[0].livenessProbe.extensions.periodMillis: unknown field",
    );
    assert_problems(
        &format!(
            "{}probes: []\n",
            probe("livenessProbe", "tcpSocket: {port: 1}")
        ),
        "c.yaml:5: probes: unknown field",
    );
}

#[test]
fn value_of_a_wrong_type_is_reported_with_its_field() {
    assert_problems(
        &probe(
            "livenessProbe",
            "tcpSocket: {port: 1}\nperiodSeconds: often",
        ),
        "c.yaml:5: targets[0].livenessProbe.periodSeconds: Invalid value: \"often\": must be an integer",
    );
}

#[test]
fn text_that_is_not_a_configuration_is_rejected() {
    for (text, line) in [
        (&b""[..], None),
        (b"[]", None),
        (b"targets: [", Some(1)),
        (b"targets: []\ntargets: 2", Some(1)),
        (b"x: \n\xff", Some(2)),
        (b"targets: []", Some(1)),
        (b"null", None),
    ] {
        let error = parse("c.yaml", text, &ParseOptions::default()).unwrap_err();
        if let Some(line) = line {
            assert_eq!(error.problems[0].line, Some(line), "{error}");
        }
    }
}

#[test]
fn unknown_port_name_is_reported_with_its_line() {
    assert_problems(
        &probe("livenessProbe", "httpGet:\n  port: web"),
        "c.yaml:5: targets[0].livenessProbe.httpGet.port: strconv.Atoi: parsing \"web\": invalid syntax",
    );
}

#[test]
fn invalid_extensions_are_reported() {
    for (fields, expected) in [
        (
            "extensions: {periodMilliseconds: 9, unixSocket: {path: /s}}",
            "c.yaml:4: targets[0].livenessProbe.extensions.periodMilliseconds: Invalid value: 9: must be between 10 and 2147483647",
        ),
        (
            "extensions: {unixSocket: {path: s}}",
            "c.yaml:4: targets[0].livenessProbe.extensions.unixSocket.path: Invalid value: \"s\": must be absolute, or start with @ for an abstract socket",
        ),
        (
            "extensions: {unixSocket: {path: /s}}\ntcpSocket: {port: 1}",
            "c.yaml:4: targets[0].livenessProbe.extensions.unixSocket: Forbidden: may not specify more than 1 handler type",
        ),
        (
            "extensions: {unixSocket: {path: /s}, postgres: {}}",
            "c.yaml:4: targets[0].livenessProbe.extensions.postgres: Forbidden: may not specify more than 1 handler type",
        ),
        (
            "extensions: {postgres: {checks: [logon]}}",
            "c.yaml:4: targets[0].livenessProbe.extensions.postgres.checks[0]: unknown check \"logon\": use one of login, through-pooler, query=SQL, write, primary, standby, lag=DURATION, schema=N",
        ),
        (
            "extensions: {tls: {}}\nhttpGet: {port: 1}",
            "c.yaml:4: targets[0].livenessProbe.extensions.tls: Forbidden: needs scheme: HTTPS",
        ),
        (
            "extensions: {tls: {certFile: /c}}\ngrpc: {port: 1}",
            "c.yaml:4: targets[0].livenessProbe.extensions.tls.keyFile: Required value: certFile needs its key",
        ),
        (
            "extensions: {expect: {bodyMatches: '('}}\nhttpGet: {port: 1}",
            "c.yaml:4: targets[0].livenessProbe.extensions.expect.bodyMatches: Invalid value: \"(\": found open group without closing ')'",
        ),
        (
            "extensions: {expect: {}}\ntcpSocket: {port: 1}",
            "c.yaml:4: targets[0].livenessProbe.extensions.expect: Forbidden: may be set for httpGet only",
        ),
        (
            "extensions: {healthyWhen: [late]}\ntcpSocket: {port: 1}",
            "c.yaml:4: targets[0].livenessProbe.extensions.healthyWhen[0]: Unsupported value: \"late\": supported values: \"neverRun\", \"stale\", \"unknown\"",
        ),
    ] {
        assert_problems(&probe("livenessProbe", fields), expected);
    }
}

#[test]
fn duplicate_and_invalid_names_are_reported() {
    let target =
        |name: &str| format!("- name: {name}\n  livenessProbe: {{tcpSocket: {{port: 1}}}}\n");
    assert_problems(
        &format!("targets:\n{}{}", target("a"), target("a")),
        "c.yaml:4: targets[1].name: Duplicate value: \"a\"",
    );
    for name in ["A", "a/b", "-a", "''"] {
        let error = read(&format!("targets:\n{}", target(name))).unwrap_err();
        assert_eq!(error.problems[0].field, "targets[0].name", "{name}");
    }
}

#[test]
fn groups_with_missing_members_are_reported() {
    let target = "targets: [{name: a, livenessProbe: {tcpSocket: {port: 1}}}]\n";
    let config = read(&format!(
        "{target}groups: [{{name: g, members: [livez/a, groups/h], require: 1, policy: failOpen}}, {{name: h, members: [livez/a]}}]"
    ))
    .unwrap();
    assert_eq!(config.groups[0].require, Require::AtLeast(1));
    assert_eq!(config.groups[0].policy, Policy::FailOpen);
    assert_eq!(config.groups[1].require, Require::All);
    for (group, expected) in [
        (
            "{name: g, members: []}",
            "c.yaml:2: groups[0].members: Required value",
        ),
        (
            "{name: g, members: [readyz/a]}",
            "c.yaml:2: groups[0].members[0]: Not found: \"readyz/a\"",
        ),
        (
            "{name: g, members: [a]}",
            "c.yaml:2: groups[0].members[0]: Invalid value: \"a\": must be livez/TARGET, readyz/TARGET, startupz/TARGET or groups/GROUP",
        ),
        (
            "{name: g, members: [livez/a], require: 2}",
            "c.yaml:2: groups[0].require: Invalid value: 2: must be all, any, or a number from 1 to 1",
        ),
        (
            "{name: g, members: [groups/g]}",
            "c.yaml:2: groups[0].members: Invalid value: the group is a member of itself",
        ),
    ] {
        assert_problems(&format!("{target}groups: [{group}]"), expected);
    }
}
