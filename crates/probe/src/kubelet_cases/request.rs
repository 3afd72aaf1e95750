//! Rows about URLs, headers and ports.

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::Case;
use super::row::{ports, text};
use crate::action::{self, headers, url};
use crate::outcome::{ProbeError, Verdict};
use crate::prober::Action;

pub(super) async fn run(case: &Case) {
    if case.has("header_list") {
        header_map(case);
    } else if case.has("lookup_name") {
        named_port(case);
    } else if case.has("port_param") {
        container_port(case);
    } else if case.has("handler") {
        address(case);
    } else {
        format_url(case).await;
    }
}

async fn format_url(case: &Case) {
    case.only(
        &["scheme", "host", "port", "path"],
        &["url", "request_error", "result", "counted_by_worker"],
    );
    let given = &case.given;
    let port = i32::try_from(given["port"].as_i64().unwrap()).unwrap();
    let formatted = url::format(
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
    let client = crate::http::Client::new("", false);
    let error = client.probe(&get, std::time::Duration::ZERO).await;
    let expected = ProbeError {
        message: expected.to_owned(),
        verdict: super::row::verdict(&case.expect["result"]),
    };
    assert_eq!(error, Err(expected), "{}", case.id);
    assert_eq!(case.expect["counted_by_worker"], json!(false));
}

fn header_map(case: &Case) {
    case.only(&["header_list"], &["header_map"]);
    let list: Vec<(String, String)> =
        serde_json::from_value(case.given["header_list"].clone()).unwrap();
    let mut map = serde_json::Map::new();
    for (name, value) in headers::canonical(list.iter().map(|(n, v)| (n.as_str(), v.as_str()))) {
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

/// A port as a manifest has it. What is neither number nor text cannot even be read.
fn port(value: &Value) -> Option<IntOrString> {
    serde_json::from_value(value.clone()).ok()
}

fn named_port(case: &Case) {
    case.only(&["container_ports", "lookup_name"], &["port", "error"]);
    let name = IntOrString::String(text(&case.given, "lookup_name").to_owned());
    expect_port(
        case,
        action::port(&name, &container(&case.given)).map(i64::from),
    );
}

fn container_port(case: &Case) {
    case.only(
        &["port_param", "container_ports"],
        &["port", "error", "error_text", "counted_by_worker"],
    );
    let unreadable = || ProbeError::unknown("intOrString had no kind");
    let resolved = port(&case.given["port_param"])
        .ok_or_else(unreadable)
        .and_then(|port| action::port(&port, &container(&case.given)));
    expect_port(case, resolved.map(i64::from));
}

/// What is beside an error is of no use to anybody: only success has a port here.
fn expect_port(case: &Case, resolved: Result<i64, ProbeError>) {
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

fn address(case: &Case) {
    case.only(
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
    let port = port(&given["port"]).unwrap();
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
        other => panic!("{}: no handler {other:?}", case.id),
    };
    let resolved = action::resolve(&probe, &container(given), text(given, "pod_ip"));
    let expect = &case.expect;
    assert_eq!(json!(resolved.is_ok()), expect["ok"], "{}", case.id);
    match resolved {
        Err(_) => {}
        Ok(Action::Tcp { host, port }) => {
            assert_eq!(
                (json!(host), json!(port)),
                (expect["host"].clone(), expect["port"].clone())
            );
        }
        Ok(Action::Http(get)) => {
            let port = i32::try_from(expect["port"].as_i64().unwrap()).unwrap();
            let expected = url::format("http", text(expect, "host"), port, text(expect, "path"));
            assert_eq!(get.url, expected, "{}", case.id);
        }
        Ok(other) => panic!("{}: {other:?}", case.id),
    }
}
