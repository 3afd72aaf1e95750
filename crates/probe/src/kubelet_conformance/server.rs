//! Servers that rows describe, on real sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::row::captures;

/// Reaction of a server to a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Sends these bytes and closes the connection.
    Bytes(Vec<u8>),
    /// Sends these bytes and keeps the connection open.
    Stall(Vec<u8>),
    /// Responds with the header names of the request, sorted, one per line.
    HeaderNames,
    /// Responds with the headers of the request, one per line.
    HeaderLines,
    /// Responds with the `Host` header of the request.
    Host,
    /// Responds with 200 for one host, and with another status for others.
    OnlyHost(String, u16),
    /// Redirects to the query parameter `loc`.
    LocationOfQuery,
}

/// Replies by path; the empty path matches all others.
pub(super) type Routes = Vec<(String, Reply)>;

pub(super) fn response(status: i64, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(
        format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
            .into_bytes(),
    )
}

pub(super) fn redirect(status: i64, location: &str) -> Reply {
    let body = format!("<a href=\"{location}\">Found</a>.\n\n");
    response(status, &format!("Location: {location}\r\n"), &body)
}

/// Parses the description of a reply.
pub(super) fn parse_reply(description: &str, timeout: f64) -> Reply {
    let number = |text: &str| text.parse::<i64>().unwrap();
    if let Some(found) = captures(
        r"(?:redirect )?(\d+) to (?:the relative location )?(\S+)(?: while probing \S+)?",
        description,
    ) {
        if &found[2] == "X" {
            return Reply::LocationOfQuery;
        }
        return redirect(number(&found[1]), &found[2]);
    }
    if let Some(found) = captures(r"(\d+) with Location '(.*)'", description) {
        return redirect(number(&found[1]), &found[2]);
    }
    if let Some(found) = captures(
        r"(\d+)(?: without Location)?(?:,? (?:empty(?: body)?|(?:with )?body '(?<body>.*)'))?",
        description,
    ) {
        let body = found.name("body").map_or("", |body| body.as_str());
        return response(number(&found[1]), "", body);
    }
    if let Some(found) = captures(r"(\d+) with a body of (\d+) x '(.)'", description) {
        let count = usize::try_from(number(&found[2])).unwrap();
        return response(number(&found[1]), "", &found[3].repeat(count));
    }
    if let Some(found) = captures(r"(\d+) if the Host seen is (\S+), else (\d+)", description) {
        assert_eq!(&found[1], "200");
        return Reply::OnlyHost(found[2].to_owned(), found[3].parse().unwrap());
    }
    if let Some(found) = captures(
        r"(\d+), Content-Length (\d+), (\d+) bytes, then (silence|close)",
        description,
    ) {
        let sent = "x".repeat(found[3].parse().unwrap());
        let bytes = format!(
            "HTTP/1.1 {} x\r\nContent-Length: {}\r\n\r\n{sent}",
            &found[1], &found[2]
        );
        return match &found[4] {
            "silence" => Reply::Stall(bytes.into_bytes()),
            _ => Reply::Bytes(bytes.into_bytes()),
        };
    }
    if let Some(found) = captures(r"status line with code (\S+)", description) {
        return Reply::Bytes(format!("HTTP/1.1 {} x\r\n\r\n", &found[1]).into_bytes());
    }
    if let Some(found) = captures(r"sends a non-HTTP line '(.*)'", description) {
        return Reply::Bytes(format!("{}\n", &found[1]).into_bytes());
    }
    if let Some(found) = captures(r"(\d+) [A-Z][A-Za-z ]+, then close", description) {
        return Reply::Bytes(format!("HTTP/1.1 {} x\r\n\r\n", &found[1]).into_bytes());
    }
    if let Some(found) = captures(r"replies after (\d+(?:\.\d+)?) s", description) {
        let is_late = found[1].parse::<f64>().unwrap() > timeout;
        return if is_late {
            Reply::Stall(Vec::new())
        } else {
            response(200, "", "")
        };
    }
    match description {
        "accepts then closes" => Reply::Bytes(Vec::new()),
        "headers delayed beyond timeout" => Reply::Stall(Vec::new()),
        "200, body is the sorted request header names, one per line" => Reply::HeaderNames,
        "200, body lists each request header as 'Name: value'" => Reply::HeaderLines,
        "200, body is the Host the server saw" => Reply::Host,
        _ => panic!("unknown server: {description:?}"),
    }
}

/// Starts a server, which runs until the runtime is dropped.
pub(super) async fn serve(routes: Routes, tls: Option<tokio_rustls::TlsAcceptor>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Arc::new(routes);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (routes, tls) = (routes.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => handle(stream, &routes).await,
                    Some(tls) => handle_tls(tls, stream, &routes).await,
                }
            });
        }
    });
    address
}

async fn handle_tls(
    tls: tokio_rustls::TlsAcceptor,
    stream: tokio::net::TcpStream,
    routes: &Routes,
) {
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return handle(stream, routes).await;
    }
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        respond
            .send_response(http::Response::new(()), true)
            .unwrap();
    }
}

async fn handle(mut stream: impl AsyncRead + AsyncWrite + Unpin, routes: &Routes) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(read) if read > 0 => {}
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let route = routes
        .iter()
        .find(|(known, _)| known == path || known.is_empty());
    let bytes = match &route.expect("a reply for every path").1 {
        Reply::Stall(bytes) => {
            drop(stream.write_all(bytes).await);
            return std::future::pending().await;
        }
        other => response_bytes(other, &head, target),
    };
    drop(stream.write_all(&bytes).await);
    drop(stream.shutdown().await);
}

fn response_bytes(reply: &Reply, head: &str, target: &str) -> Vec<u8> {
    let host = head
        .lines()
        .find_map(|line| line.strip_prefix("Host: "))
        .unwrap_or_default();
    let lines = head
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty() && !line.starts_with("Host: "));
    let response = match reply {
        Reply::Bytes(bytes) | Reply::Stall(bytes) => return bytes.clone(),
        Reply::HeaderNames => {
            let mut names: Vec<&str> = lines.map(|line| line.split(':').next().unwrap()).collect();
            names.sort_unstable();
            response(200, "", &names.join("\n"))
        }
        Reply::HeaderLines => {
            let lines: Vec<String> = lines.map(|line| format!("{line}\n")).collect();
            response(200, "", &lines.concat())
        }
        Reply::Host => response(200, "", host),
        Reply::OnlyHost(expected, _) if expected == host => response(200, "", ""),
        Reply::OnlyHost(_, other) => response((*other).into(), "", ""),
        Reply::LocationOfQuery => {
            let location = target.split_once("loc=").map_or("", |(_, to)| to);
            redirect(
                302,
                &percent_encoding::percent_decode_str(location).decode_utf8_lossy(),
            )
        }
    };
    response_bytes(&response, head, target)
}

/// Returns an acceptor with a self-signed certificate for another host.
pub(crate) fn tls_acceptor(http2: bool) -> tokio_rustls::TlsAcceptor {
    let signed = rcgen::generate_simple_self_signed(["other.invalid".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    if http2 {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    Arc::new(config).into()
}

/// Parses the server of a row: a description, a status, a delay, or replies by path.
pub(super) fn parse_routes(server: &Value, timeout: f64) -> Routes {
    let all_paths = |reply| vec![(String::new(), reply)];
    if let Some(description) = server.as_str() {
        if let Some(found) = captures(
            r"(\d+) relative redirects, each hop (\d+(?:\.\d+)?) s",
            description,
        ) {
            return redirect_chain(
                found[1].parse().unwrap(),
                timeout / found[2].parse::<f64>().unwrap(),
            );
        }
        return all_paths(parse_reply(description, timeout));
    }
    if let Some(delay) = server["reply_delay_s"].as_f64() {
        let description = format!("replies after {delay} s");
        return all_paths(parse_reply(&description, timeout));
    }
    if let Some(status) = server["reply_status"].as_i64() {
        return all_paths(response(
            status,
            "",
            server["reply_body"].as_str().unwrap_or_default(),
        ));
    }
    if let Some(description) = server["reply"].as_str() {
        return all_paths(parse_reply(description, timeout));
    }
    let mut routes: Routes = Vec::new();
    for (path, description) in server.as_object().unwrap() {
        let path = if path == "other paths" {
            ""
        } else {
            path.split('?').next().unwrap()
        };
        assert!(
            path.is_empty() || path.starts_with('/'),
            "not a path: {path:?}"
        );
        routes.push((
            path.to_owned(),
            parse_reply(description.as_str().unwrap(), timeout),
        ));
    }
    // The empty path must be last.
    routes.sort_by_key(|(path, _)| path.is_empty());
    routes
}

/// Returns a chain of redirects. Hops that would exceed the timeout stall instead of waiting.
fn redirect_chain(count: usize, hops_in_time: f64) -> Routes {
    let hop = |at: usize| {
        let path = if at == 0 {
            "/".to_owned()
        } else {
            format!("/{at}")
        };
        let reply = if (at as f64) + 1.0 > hops_in_time {
            Reply::Stall(Vec::new())
        } else if at == count {
            response(200, "", "")
        } else {
            redirect(302, &format!("/{}", at + 1))
        };
        (path, reply)
    };
    (0..=count).map(hop).collect()
}
