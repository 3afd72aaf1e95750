//! Rows about single attempts: HTTP, TCP, exec and gRPC with real sockets and processes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Case;
use super::row::{captures, text, verdict};
use super::server::{parse_routes, serve, tls_acceptor};
use crate::outcome::{Outcome, ProbeError};
use crate::{HttpGet, exec, grpc, http, tcp};

pub(super) async fn run(case: &Case) {
    match case.kind.as_str() {
        "http" => check_http(case).await,
        "tcp" => check_tcp(case).await,
        "exec" => check_exec(case).await,
        _ => check_grpc(case).await,
    }
}

fn timeout(given: &Value) -> f64 {
    given["timeout_s"].as_f64().expect("a timeout")
}

fn headers(given: &Value) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (name, values) in given["headers"].as_object().into_iter().flatten() {
        for value in values.as_array().unwrap() {
            headers.push((name.clone(), value.as_str().unwrap().to_owned()));
        }
    }
    headers
}

async fn check_http(case: &Case) {
    case.reject_unknown_fields(
        &[
            "server",
            "headers",
            "timeout_s",
            "follow_other_hosts",
            "path",
            "location",
            "scheme",
        ],
        &[
            "result",
            "error",
            "output",
            "output_contains",
            "output_lacks",
            "counted_by_worker",
        ],
    );
    let given = &case.given;
    let server = given["server"].as_str().unwrap_or_default();
    let (scheme, address) = start_server(given, server).await;
    let mut url = format!(
        "{scheme}://{address}{}",
        given["path"].as_str().unwrap_or("/")
    );
    if let Some(location) = given["location"].as_str() {
        let other = serve(parse_routes(&given["server"], timeout(given)), None).await;
        let location = location.replace("<same host, other port>", &format!("http://{other}"));
        let encoded =
            percent_encoding::utf8_percent_encode(&location, percent_encoding::NON_ALPHANUMERIC);
        if text(given, "path") == "/redirect" {
            url = format!("{url}?loc={encoded}");
        }
    }
    let mut client = http::Client::new(crate::USER_AGENT, http::Http2::Offered);
    if given["follow_other_hosts"] == json!(true) {
        client = client.follow_other_hosts();
    }
    let probed = HttpGet {
        url: url.clone(),
        headers: headers(given),
    };
    let found = client
        .probe(&probed, Duration::from_secs_f64(timeout(given)))
        .await;
    let fill_in = |expected: &str| {
        let third = format!("{scheme}://{address}/2");
        expected
            .replace("<third hop url>", &third)
            .replace("<addr>", &address.to_string())
            .replace("<url>", &url)
    };
    check(case, &found, &fill_in);
}

/// Starts the server of a row. Returns the scheme and address to probe.
async fn start_server(given: &Value, server: &str) -> (&'static str, SocketAddr) {
    let timeout = timeout(given);
    let plain = || crate::kubelet_conformance::server::parse_routes(&json!("200"), timeout);
    match server {
        "HTTPS probe against a plain HTTP server" => {
            let routes = parse_routes(&json!("400 empty"), timeout);
            // An HTTP server rejects a TLS ClientHello as a malformed request.
            ("https", serve_any_bytes(routes).await)
        }
        "plain HTTP probe against a TLS server" | "plain HTTP probe against a Go TLS server" => (
            "http",
            serve_any_bytes(parse_routes(&json!("400 empty"), timeout)).await,
        ),
        "nothing listens" | "no listener" | "port closed" => ("http", closed_port().await),
        _ => match captures(
            r"HTTPS, self-signed(?:, (h2 capable|HTTP/1\.1 only))?",
            server,
        ) {
            Some(found) => {
                let http2 = found
                    .get(1)
                    .is_some_and(|word| word.as_str() == "h2 capable");
                ("https", serve(plain(), Some(tls_acceptor(http2))).await)
            }
            None => (
                "http",
                serve(parse_routes(&given["server"], timeout), None).await,
            ),
        },
    }
}

async fn closed_port() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Starts a server that responds to any bytes.
async fn serve_any_bytes(routes: super::server::Routes) -> SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let super::server::Reply::Bytes(bytes) = routes[0].1.clone() else {
        panic!("the reply has no bytes")
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut first = [0; 1024];
            let _ = stream.read(&mut first).await;
            drop(stream.write_all(&bytes).await);
        }
    });
    address
}

/// Compares a result with the expectations of the row.
fn check(case: &Case, found: &Result<Outcome, ProbeError>, fill_in: &dyn Fn(&str) -> String) {
    let expect = &case.expect;
    let id = &case.id;
    let (verdict_found, output) = match found {
        Ok(outcome) => (outcome.verdict, outcome.output.as_str()),
        Err(error) => (error.verdict, ""),
    };
    assert_eq!(verdict_found, verdict(&expect["result"]), "{id}: {found:?}");
    if let Some(error) = expect["error"].as_bool() {
        assert_eq!(found.is_err(), error, "{id}: {found:?}");
    }
    if let Some(counted) = expect["counted_by_worker"].as_bool() {
        assert_eq!(found.is_ok(), counted, "{id}: {found:?}");
    }
    if let Some(expected) = expect["output"].as_str() {
        assert_eq!(output, expand_text(&fill_in(expected), case), "{id}");
    }
    if let Some(part) = expect["output_contains"].as_str() {
        assert!(
            output.contains(part),
            "{id}: {output:?} does not contain {part:?}"
        );
    }
    if let Some(part) = expect["output_lacks"].as_str() {
        assert!(!output.contains(part), "{id}: {output:?} contains {part:?}");
    }
}

/// Expands the description of a long text.
fn expand_text(description: &str, case: &Case) -> String {
    if let Some(found) = captures(r"(\d+) x '(.)'", description) {
        return found[2].repeat(found[1].parse().unwrap());
    }
    if let Some(found) = captures(r"the (?:same|first) (\d+) bytes(?: of it)?", description) {
        let whole = expand_text(text(&case.given, "command_output"), case);
        return whole[..found[1].parse().unwrap()].to_owned();
    }
    if let Some(found) = captures(
        r"'(.*)' repeated (\d+) times(?: \(\d+ bytes\))?(?:,? (?:and|plus|followed by) (?:more|'(.*)'))?",
        description,
    ) {
        let more = found.get(3).map_or("", |more| more.as_str());
        return found[1].repeat(found[2].parse().unwrap()) + more;
    }
    description.to_owned()
}

async fn check_tcp(case: &Case) {
    case.reject_unknown_fields(
        &["host", "port", "address", "timeout_s"],
        &["result", "error", "output"],
    );
    let given = &case.given;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let (mut host, mut port) = (text(given, "host").to_owned(), given["port"].clone());
    if let Some((a, b)) = given["address"]
        .as_str()
        .and_then(|both| both.rsplit_once(':'))
    {
        (host, port) = (a.to_owned(), json!(b));
    }
    if host == "<listening host>" {
        host = here.ip().to_string();
    }
    let port = match port.as_str() {
        Some("<listening port>") => here.port().into(),
        Some(number) => number.parse().unwrap(),
        None => i32::try_from(port.as_i64().unwrap()).unwrap(),
    };
    let found = tcp::probe(&host, port, Duration::from_secs_f64(timeout(given))).await;
    check(case, &Ok(found), &str::to_owned);
}

/// Runs a command that exits as the row requires. The text of a timeout is the container runtime's, so it is replaced by
/// the row's.
async fn check_exec(case: &Case) {
    case.reject_unknown_fields(
        &["command_output", "command_error"],
        &["result", "error", "output"],
    );
    let output = expand_text(text(&case.given, "command_output"), case);
    let error = &case.given["command_error"];
    let shell = |script: String| {
        vec![
            "sh".to_owned(),
            "-c".to_owned(),
            script,
            "sh".to_owned(),
            output.clone(),
        ]
    };
    let long = Duration::from_secs(60);
    let (argv, limit) = match error["type"].as_str() {
        None if error.is_null() => (shell("printf %s \"$1\"".to_owned()), long),
        Some("exit") => (
            shell(format!("printf %s \"$1\"; exit {}", error["code"])),
            long,
        ),
        Some("other") => (vec!["/no/such/program".to_owned()], long),
        Some("timeout") => (
            vec!["sleep".to_owned(), "600".to_owned()],
            Duration::from_millis(50),
        ),
        _ => panic!("{}: unknown command error: {error}", case.id),
    };
    let mut found = exec::probe(&argv, limit).await;
    if error["type"] == json!("timeout")
        && let Ok(outcome) = &mut found
        && outcome.output == "command timed out: \"sleep 600\" timed out after 50ms"
    {
        outcome.output = text(error, "text").to_owned();
    }
    check(case, &found, &str::to_owned);
}

async fn check_grpc(case: &Case) {
    case.reject_unknown_fields(
        &[
            "host",
            "port",
            "service",
            "timeout_s",
            "health_reply_delay_s",
            "health_status",
            "health_error",
            "server",
        ],
        &["result", "error", "output", "output_contains"],
    );
    let given = &case.given;
    let limit = timeout(given);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut port = listener.local_addr().unwrap().port();
    match text(given, "port") {
        "<grpc server>" | "<listening port>" => {
            drop(tokio::spawn(serve_health(listener, given.clone(), limit)));
        }
        other => {
            drop(listener);
            if let Ok(number) = other.parse() {
                port = number;
            } else if let Some(number) = given["port"].as_u64() {
                port = number.try_into().unwrap();
            }
        }
    }
    let host = text(given, "host");
    let limit = Duration::from_secs_f64(limit);
    let service = text(given, "service");
    let found = grpc::probe(host, port, service, crate::USER_AGENT, limit).await;
    let address = format!("{host}:{port}");
    check(case, &Ok(found), &|expected| {
        expected
            .replace("<addr>", &address)
            .replace("<host:port>", &address)
    });
}

async fn serve_health(listener: tokio::net::TcpListener, given: Value, limit: f64) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let is_late = given["health_reply_delay_s"]
        .as_f64()
        .is_some_and(|delay| delay > limit);
    let is_unimplemented = text(&given, "server").contains("without the health service");
    let status = match given["health_status"].as_str() {
        None | Some("SERVING") => 1,
        Some("UNKNOWN") => 0,
        Some("NOT_SERVING") => 2,
        Some("SERVICE_UNKNOWN") => 3,
        Some(other) => panic!("unknown status: {other}"),
    };
    let mut unanswered = Vec::new();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        if is_late {
            unanswered.push(respond);
            continue;
        }
        let head = ::http::Response::builder().header("content-type", "application/grpc");
        if is_unimplemented {
            let head = head.header("grpc-status", "12").body(()).unwrap();
            respond.send_response(head, true).unwrap();
            continue;
        }
        let mut body = respond
            .send_response(head.body(()).unwrap(), false)
            .unwrap();
        let message = Bytes::from(vec![0, 0, 0, 0, 2, 8, status]);
        body.send_data(message, false).unwrap();
        let ok = [("grpc-status".parse().unwrap(), "0".parse().unwrap())];
        body.send_trailers(ok.into_iter().collect()).unwrap();
    }
}
