//! Rows about URLs, headers and ports.

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::Case;
use super::row::{ports, text};
use crate::go_url::format_probe_url;
use crate::handler::{self, headers};
use crate::outcome::{ProbeError, Verdict};
use crate::prober::ResolvedHandler;

pub(super) async fn run(case: &Case) {
    if case.has("header_list") {
        check_headers(case);
    } else if case.has("lookup_name") {
        check_named_port(case);
    } else if case.has("port_param") {
        check_container_port(case);
    } else if case.has("handler") {
        check_address(case);
    } else {
        check_url(case).await;
    }
}

async fn check_url(case: &Case) {
    case.reject_unknown_fields(
        &["scheme", "host", "port", "path"],
        &["url", "request_error", "result", "counted_by_worker"],
    );
    let given = &case.given;
    let port = i32::try_from(given["port"].as_i64().unwrap()).unwrap();
    let formatted = format_probe_url(
        text(given, "scheme"),
        text(given, "host"),
        port,
        text(given, "path"),
    );
    let Some(expected) = case.expect["request_error"].as_str() else {
        assert_eq!(formatted, text(&case.expect, "url"), "{}", case.id);
        return;
    };
    let get = crate::HttpGet {
        url: formatted,
        headers: Vec::new(),
    };
    let client = crate::http::Client::new("", crate::http::Http2::Disabled);
    let error = client.probe(&get, std::time::Duration::ZERO).await;
    let expected = ProbeError {
        message: expected.to_owned(),
        verdict: super::row::verdict(&case.expect["result"]),
    };
    assert_eq!(error, Err(expected), "{}", case.id);
    assert_eq!(case.expect["counted_by_worker"], json!(false));
}

fn check_headers(case: &Case) {
    case.reject_unknown_fields(&["header_list"], &["header_map"]);
    let list: Vec<(String, String)> =
        serde_json::from_value(case.given["header_list"].clone()).unwrap();
    let mut map = serde_json::Map::new();
    for (name, value) in headers::canonicalize(list.iter().map(|(n, v)| (n.as_str(), v.as_str()))) {
        let values = map.entry(name).or_insert_with(|| json!([]));
        values.as_array_mut().unwrap().push(json!(value));
    }
    assert_eq!(Value::Object(map), case.expect["header_map"], "{}", case.id);
}

fn container(given: &Value) -> Container {
    Container {
        ports: Some(ports(&given["container_ports"])),
        ..Container::default()
    }
}

/// Parses a port of a manifest; `None` if it is neither a number nor a string.
fn parse_port(value: &Value) -> Option<IntOrString> {
    serde_json::from_value(value.clone()).ok()
}

fn check_named_port(case: &Case) {
    case.reject_unknown_fields(&["container_ports", "lookup_name"], &["port", "error"]);
    let name = IntOrString::String(text(&case.given, "lookup_name").to_owned());
    check_port(
        case,
        handler::resolve_port(&name, &container(&case.given)).map(i64::from),
    );
}

fn check_container_port(case: &Case) {
    case.reject_unknown_fields(
        &["port_param", "container_ports"],
        &["port", "error", "error_text", "counted_by_worker"],
    );
    let invalid = || ProbeError::unknown("intOrString had no kind");
    let resolved = parse_port(&case.given["port_param"])
        .ok_or_else(invalid)
        .and_then(|port| handler::resolve_port(&port, &container(&case.given)));
    check_port(case, resolved.map(i64::from));
}

/// Compares a resolved port. Unlike in Go, an error has no port.
fn check_port(case: &Case, resolved: Result<i64, ProbeError>) {
    let failed = case.expect["error"] == json!(true) || case.expect.get("error_text").is_some();
    match resolved {
        Ok(port) => {
            assert!(!failed, "{}: {port}", case.id);
            assert_eq!(json!(port), case.expect["port"], "{}", case.id);
        }
        Err(error) => {
            assert!(failed, "{}: {error}", case.id);
            assert_eq!(error.verdict, Verdict::Unknown);
            if let Some(expected) = case.expect["error_text"].as_str() {
                assert_eq!(error.message, expected, "{}", case.id);
            }
        }
    }
}

fn check_address(case: &Case) {
    case.reject_unknown_fields(
        &[
            "handler",
            "host",
            "port",
            "path",
            "pod_ip",
            "container_ports",
        ],
        &["ok", "host", "port", "path"],
    );
    let given = &case.given;
    let port = parse_port(&given["port"]).unwrap();
    let host = Some(text(given, "host").to_owned());
    let probe = match text(given, "handler") {
        "http" => Probe {
            http_get: Some(HTTPGetAction {
                host,
                path: Some(text(given, "path").to_owned()),
                port,
                ..HTTPGetAction::default()
            }),
            ..Probe::default()
        },
        "tcp" => Probe {
            tcp_socket: Some(TCPSocketAction { host, port }),
            ..Probe::default()
        },
        other => panic!("{}: unknown handler {other:?}", case.id),
    };
    let resolved = handler::resolve(&probe, &container(given), text(given, "pod_ip"));
    let expect = &case.expect;
    assert_eq!(json!(resolved.is_ok()), expect["ok"], "{}", case.id);
    match resolved {
        Err(_) => {}
        Ok(ResolvedHandler::Tcp { host, port }) => {
            assert_eq!(
                (json!(host), json!(port)),
                (expect["host"].clone(), expect["port"].clone())
            );
        }
        Ok(ResolvedHandler::Http(get)) => {
            let port = i32::try_from(expect["port"].as_i64().unwrap()).unwrap();
            let expected =
                format_probe_url("http", text(expect, "host"), port, text(expect, "path"));
            assert_eq!(get.url, expected, "{}", case.id);
        }
        Ok(other) => panic!("{}: {other:?}", case.id),
    }
}
