//! Rows about one attempt: HTTP, TCP, exec and gRPC against something real.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Case;
use super::row::{captures, text, verdict};
use super::server::{acceptor, routes, serve};
use crate::outcome::{Outcome, ProbeError};
use crate::{HttpGet, exec, grpc, http, tcp};

pub(super) async fn run(case: &Case) {
    match case.kind.as_str() {
        "http" => get(case).await,
        "tcp" => connect(case).await,
        "exec" => command(case).await,
        _ => health(case).await,
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

async fn get(case: &Case) {
    case.only(
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
    let words = given["server"].as_str().unwrap_or_default();
    let (scheme, address) = peer(given, words).await;
    let mut url = format!(
        "{scheme}://{address}{}",
        given["path"].as_str().unwrap_or("/")
    );
    if let Some(location) = given["location"].as_str() {
        let other = serve(routes(&given["server"], timeout(given)), None).await;
        let location = location.replace("<same host, other port>", &format!("http://{other}"));
        let encoded =
            percent_encoding::utf8_percent_encode(&location, percent_encoding::NON_ALPHANUMERIC);
        if text(given, "path") == "/redirect" {
            url = format!("{url}?loc={encoded}");
        }
    }
    let mut client = http::Client::new(crate::USER_AGENT, true);
    if given["follow_other_hosts"] == json!(true) {
        client = client.following_other_hosts();
    }
    let probed = HttpGet {
        url: url.clone(),
        headers: headers(given),
    };
    let found = client
        .probe(&probed, Duration::from_secs_f64(timeout(given)))
        .await;
    let place = |expected: &str| {
        let third = format!("{scheme}://{address}/2");
        expected
            .replace("<third hop url>", &third)
            .replace("<addr>", &address.to_string())
            .replace("<url>", &url)
    };
    check(case, &found, &place);
}

/// What to ask, and in which scheme.
async fn peer(given: &Value, words: &str) -> (&'static str, SocketAddr) {
    let timeout = timeout(given);
    let plain = || crate::kubelet_cases::server::routes(&json!("200"), timeout);
    match words {
        "HTTPS probe against a plain HTTP server" => {
            let routes = routes(&json!("400 empty"), timeout);
            // A server of HTTP reads a TLS greeting as a request without an end and says so at once.
            ("https", serve_refusing(routes).await)
        }
        "plain HTTP probe against a TLS server" | "plain HTTP probe against a Go TLS server" => (
            "http",
            serve_refusing(routes(&json!("400 empty"), timeout)).await,
        ),
        "nothing listens" | "no listener" | "port closed" => ("http", nobody().await),
        _ => match captures(
            r"HTTPS, self-signed(?:, (h2 capable|HTTP/1\.1 only))?",
            words,
        ) {
            Some(found) => {
                let http2 = found
                    .get(1)
                    .is_some_and(|word| word.as_str() == "h2 capable");
                ("https", serve(plain(), Some(acceptor(http2))).await)
            }
            None => ("http", serve(routes(&given["server"], timeout), None).await),
        },
    }
}

async fn nobody() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Answers whatever the first bytes are.
async fn serve_refusing(routes: super::server::Routes) -> SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let super::server::Answer::Bytes(bytes) = routes[0].1.clone() else {
        panic!("a refusal has bytes")
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

/// Compares what was found with what the row expects of it.
fn check(case: &Case, found: &Result<Outcome, ProbeError>, place: &dyn Fn(&str) -> String) {
    let expect = &case.expect;
    let id = &case.id;
    let (result, output) = match found {
        Ok(outcome) => (outcome.verdict, outcome.output.as_str()),
        Err(error) => (error.verdict, ""),
    };
    assert_eq!(result, verdict(&expect["result"]), "{id}: {found:?}");
    if let Some(error) = expect["error"].as_bool() {
        assert_eq!(found.is_err(), error, "{id}: {found:?}");
    }
    if let Some(counted) = expect["counted_by_worker"].as_bool() {
        assert_eq!(found.is_ok(), counted, "{id}: {found:?}");
    }
    if let Some(expected) = expect["output"].as_str() {
        assert_eq!(output, written_out(&place(expected), case), "{id}");
    }
    if let Some(part) = expect["output_contains"].as_str() {
        assert!(output.contains(part), "{id}: {output:?} has no {part:?}");
    }
    if let Some(part) = expect["output_lacks"].as_str() {
        assert!(!output.contains(part), "{id}: {output:?} has {part:?}");
    }
}

/// Long texts are described in the rows.
fn written_out(words: &str, case: &Case) -> String {
    if let Some(found) = captures(r"(\d+) x '(.)'", words) {
        return found[2].repeat(found[1].parse().unwrap());
    }
    if let Some(found) = captures(r"the (?:same|first) (\d+) bytes(?: of it)?", words) {
        let whole = written_out(text(&case.given, "command_output"), case);
        return whole[..found[1].parse().unwrap()].to_owned();
    }
    if let Some(found) = captures(
        r"'(.*)' repeated (\d+) times(?: \(\d+ bytes\))?(?:,? (?:and|plus|followed by) (?:more|'(.*)'))?",
        words,
    ) {
        let more = found.get(3).map_or("", |more| more.as_str());
        return found[1].repeat(found[2].parse().unwrap()) + more;
    }
    words.to_owned()
}

async fn connect(case: &Case) {
    case.only(
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

/// A command that ends as the row says. The runtime's own words about a timeout are not the rows'.
async fn command(case: &Case) {
    case.only(
        &["command_output", "command_error"],
        &["result", "error", "output"],
    );
    let output = written_out(text(&case.given, "command_output"), case);
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
        _ => panic!("{}: no such end: {error}", case.id),
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

async fn health(case: &Case) {
    case.only(
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
    let late = given["health_reply_delay_s"]
        .as_f64()
        .is_some_and(|delay| delay > limit);
    let unimplemented = text(&given, "server").contains("without the health service");
    let status = match given["health_status"].as_str() {
        None | Some("SERVING") => 1,
        Some("UNKNOWN") => 0,
        Some("NOT_SERVING") => 2,
        Some("SERVICE_UNKNOWN") => 3,
        Some(other) => panic!("no such status: {other}"),
    };
    let mut kept = Vec::new();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        if late {
            kept.push(respond);
            continue;
        }
        let head = ::http::Response::builder().header("content-type", "application/grpc");
        if unimplemented {
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
