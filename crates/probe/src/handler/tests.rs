use k8s_openapi::api::core::v1::{
    ContainerPort, EnvVar, ExecAction, GRPCAction, HTTPHeader, TCPSocketAction,
};

use super::*;

fn container() -> Container {
    let port = |name: &str, number| ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        ..ContainerPort::default()
    };
    let variable = |name: &str, value: Option<&str>| EnvVar {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        ..EnvVar::default()
    };
    Container {
        name: "c".to_owned(),
        ports: Some(vec![port("web", 8080), port("odd", 70_000)]),
        env: Some(vec![variable("A", Some("1")), variable("SECRET", None)]),
        ..Container::default()
    }
}

fn named(name: &str) -> IntOrString {
    IntOrString::String(name.to_owned())
}

#[test]
fn port_is_a_number_or_a_port_name_of_the_same_container() {
    for (given, expected) in [
        (IntOrString::Int(1), Ok(1)),
        (IntOrString::Int(65_535), Ok(65_535)),
        (IntOrString::Int(0), Err("invalid port number: 0")),
        (IntOrString::Int(65_536), Err("invalid port number: 65536")),
        (named("web"), Ok(8080)),
        (named("118"), Ok(118)),
        (named("-1"), Err("invalid port number: -1")),
        (named("odd"), Err("invalid port number: 70000")),
        (
            named("http"),
            Err("strconv.Atoi: parsing \"http\": invalid syntax"),
        ),
        (named(""), Err("strconv.Atoi: parsing \"\": invalid syntax")),
    ] {
        let found = resolve_port(&given, &container());
        assert_eq!(
            found.as_ref().map_err(|error| error.message.as_str()),
            expected.as_ref().map_err(|text| *text)
        );
    }
}

#[track_caller]
fn check(probe: &Probe, expected: ResolvedHandler) {
    assert_eq!(resolve(probe, &container(), "10.0.0.1"), Ok(expected));
}

#[test]
fn http_probe_without_a_host_targets_the_pod() {
    let header = HTTPHeader {
        name: "x-a".to_owned(),
        value: "b".to_owned(),
    };
    let get = HTTPGetAction {
        port: named("web"),
        http_headers: Some(vec![header]),
        ..HTTPGetAction::default()
    };
    let headers = vec![("X-A".to_owned(), "b".to_owned())];
    let probe = |get| Probe {
        http_get: Some(get),
        ..Probe::default()
    };
    check(
        &probe(get.clone()),
        ResolvedHandler::Http(HttpGet {
            url: "http://10.0.0.1:8080".to_owned(),
            headers,
        }),
    );
    let other = HTTPGetAction {
        host: Some("h".to_owned()),
        scheme: Some("HTTPS".to_owned()),
        path: Some("/x".to_owned()),
        http_headers: None,
        ..get
    };
    check(
        &probe(other),
        ResolvedHandler::Http(HttpGet {
            url: "https://h:8080/x".to_owned(),
            headers: Vec::new(),
        }),
    );
}

#[test]
fn tcp_probe_without_a_host_targets_the_pod() {
    let probe = |host: Option<&str>| Probe {
        tcp_socket: Some(TCPSocketAction {
            host: host.map(str::to_owned),
            port: IntOrString::Int(5432),
        }),
        ..Probe::default()
    };
    check(
        &probe(None),
        ResolvedHandler::Tcp {
            host: "10.0.0.1".to_owned(),
            port: 5432,
        },
    );
    check(
        &probe(Some("")),
        ResolvedHandler::Tcp {
            host: "10.0.0.1".to_owned(),
            port: 5432,
        },
    );
    check(
        &probe(Some("h")),
        ResolvedHandler::Tcp {
            host: "h".to_owned(),
            port: 5432,
        },
    );
}

#[test]
fn command_is_expanded_with_variables_of_the_manifest_only() {
    let command = ["x", "$(A)", "$(SECRET)|", "$(OTHER)", "$$(A)"]
        .map(str::to_owned)
        .to_vec();
    let probe = Probe {
        exec: Some(ExecAction {
            command: Some(command),
        }),
        ..Probe::default()
    };
    let expected = ["x", "1", "|", "$(OTHER)", "$(A)"]
        .map(str::to_owned)
        .to_vec();
    check(&probe, ResolvedHandler::Exec { command: expected });
}

#[test]
fn grpc_probe_targets_the_pod() {
    let grpc = |port| Probe {
        grpc: Some(GRPCAction {
            port,
            service: None,
        }),
        ..Probe::default()
    };
    check(
        &grpc(9),
        ResolvedHandler::Grpc {
            host: "10.0.0.1".to_owned(),
            port: 9,
            service: String::new(),
        },
    );
    assert!(resolve(&grpc(0), &container(), "").is_err());
}

#[test]
fn probe_without_a_handler_is_an_error() {
    assert_eq!(
        resolve(&Probe::default(), &container(), "")
            .unwrap_err()
            .message,
        "missing probe handler for c"
    );
}
