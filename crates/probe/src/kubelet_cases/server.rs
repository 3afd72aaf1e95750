//! Servers as the rows describe them, on real sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::row::captures;

/// What a server does with a request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// These bytes, then silence.
    Stall(Vec<u8>),
    /// The request's header names, sorted, one per line.
    HeaderNames,
    /// The request's headers, a line each.
    HeaderLines,
    /// The Host that was asked for.
    Host,
    /// 200 for one Host, another status for others.
    OnlyHost(String, u16),
    /// To what stands in the query.
    LocationOfQuery,
}

/// Which path gets which answer; the empty path is every other.
pub(super) type Routes = Vec<(String, Answer)>;

pub(super) fn response(status: i64, headers: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Bytes(
        format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
            .into_bytes(),
    )
}

pub(super) fn redirect(status: i64, location: &str) -> Answer {
    let body = format!("<a href=\"{location}\">Found</a>.\n\n");
    response(status, &format!("Location: {location}\r\n"), &body)
}

/// The answer that a row's words describe.
pub(super) fn described(words: &str, timeout: f64) -> Answer {
    let number = |text: &str| text.parse::<i64>().unwrap();
    if let Some(found) = captures(
        r"(?:redirect )?(\d+) to (?:the relative location )?(\S+)(?: while probing \S+)?",
        words,
    ) {
        if &found[2] == "X" {
            return Answer::LocationOfQuery;
        }
        return redirect(number(&found[1]), &found[2]);
    }
    if let Some(found) = captures(r"(\d+) with Location '(.*)'", words) {
        return redirect(number(&found[1]), &found[2]);
    }
    if let Some(found) = captures(
        r"(\d+)(?: without Location)?(?:,? (?:empty(?: body)?|(?:with )?body '(?<body>.*)'))?",
        words,
    ) {
        let body = found.name("body").map_or("", |body| body.as_str());
        return response(number(&found[1]), "", body);
    }
    if let Some(found) = captures(r"(\d+) with a body of (\d+) x '(.)'", words) {
        let count = usize::try_from(number(&found[2])).unwrap();
        return response(number(&found[1]), "", &found[3].repeat(count));
    }
    if let Some(found) = captures(r"(\d+) if the Host seen is (\S+), else (\d+)", words) {
        assert_eq!(&found[1], "200");
        return Answer::OnlyHost(found[2].to_owned(), found[3].parse().unwrap());
    }
    if let Some(found) = captures(
        r"(\d+), Content-Length (\d+), (\d+) bytes, then (silence|close)",
        words,
    ) {
        let sent = "x".repeat(found[3].parse().unwrap());
        let bytes = format!(
            "HTTP/1.1 {} x\r\nContent-Length: {}\r\n\r\n{sent}",
            &found[1], &found[2]
        );
        return match &found[4] {
            "silence" => Answer::Stall(bytes.into_bytes()),
            _ => Answer::Bytes(bytes.into_bytes()),
        };
    }
    if let Some(found) = captures(r"status line with code (\S+)", words) {
        return Answer::Bytes(format!("HTTP/1.1 {} x\r\n\r\n", &found[1]).into_bytes());
    }
    if let Some(found) = captures(r"sends a non-HTTP line '(.*)'", words) {
        return Answer::Bytes(format!("{}\n", &found[1]).into_bytes());
    }
    if let Some(found) = captures(r"(\d+) [A-Z][A-Za-z ]+, then close", words) {
        return Answer::Bytes(format!("HTTP/1.1 {} x\r\n\r\n", &found[1]).into_bytes());
    }
    if let Some(found) = captures(r"replies after (\d+(?:\.\d+)?) s", words) {
        let late = found[1].parse::<f64>().unwrap() > timeout;
        return if late {
            Answer::Stall(Vec::new())
        } else {
            response(200, "", "")
        };
    }
    match words {
        "accepts then closes" => Answer::Bytes(Vec::new()),
        "headers delayed beyond timeout" => Answer::Stall(Vec::new()),
        "200, body is the sorted request header names, one per line" => Answer::HeaderNames,
        "200, body lists each request header as 'Name: value'" => Answer::HeaderLines,
        "200, body is the Host the server saw" => Answer::Host,
        _ => panic!("a server that nobody has built: {words:?}"),
    }
}

/// Serves until the runtime ends.
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
                    None => answer(stream, &routes).await,
                    Some(tls) => over_tls(tls, stream, &routes).await,
                }
            });
        }
    });
    address
}

async fn over_tls(tls: tokio_rustls::TlsAcceptor, stream: tokio::net::TcpStream, routes: &Routes) {
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return answer(stream, routes).await;
    }
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        respond
            .send_response(http::Response::new(()), true)
            .unwrap();
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, routes: &Routes) {
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
    let bytes = match &route.expect("every path has an answer").1 {
        Answer::Stall(bytes) => {
            drop(stream.write_all(bytes).await);
            return std::future::pending().await;
        }
        other => reply(other, &head, target),
    };
    drop(stream.write_all(&bytes).await);
    drop(stream.shutdown().await);
}

fn reply(answer: &Answer, head: &str, target: &str) -> Vec<u8> {
    let host = head
        .lines()
        .find_map(|line| line.strip_prefix("Host: "))
        .unwrap_or_default();
    let lines = head
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty() && !line.starts_with("Host: "));
    let made = match answer {
        Answer::Bytes(bytes) | Answer::Stall(bytes) => return bytes.clone(),
        Answer::HeaderNames => {
            let mut names: Vec<&str> = lines.map(|line| line.split(':').next().unwrap()).collect();
            names.sort_unstable();
            response(200, "", &names.join("\n"))
        }
        Answer::HeaderLines => {
            let lines: Vec<String> = lines.map(|line| format!("{line}\n")).collect();
            response(200, "", &lines.concat())
        }
        Answer::Host => response(200, "", host),
        Answer::OnlyHost(wanted, _) if wanted == host => response(200, "", ""),
        Answer::OnlyHost(_, other) => response((*other).into(), "", ""),
        Answer::LocationOfQuery => {
            let location = target.split_once("loc=").map_or("", |(_, to)| to);
            redirect(
                302,
                &percent_encoding::percent_decode_str(location).decode_utf8_lossy(),
            )
        }
    };
    reply(&made, head, target)
}

/// A certificate of nobody's, with or without HTTP/2.
pub(crate) fn acceptor(http2: bool) -> tokio_rustls::TlsAcceptor {
    let signed = rcgen::generate_simple_self_signed(["nobody.invalid".to_owned()]).unwrap();
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

/// A row's server: words, a status, a delay, or paths and what they answer.
pub(super) fn routes(server: &Value, timeout: f64) -> Routes {
    let all = |answer| vec![(String::new(), answer)];
    if let Some(words) = server.as_str() {
        if let Some(found) = captures(
            r"(\d+) relative redirects, each hop (\d+(?:\.\d+)?) s",
            words,
        ) {
            return hops(
                found[1].parse().unwrap(),
                timeout / found[2].parse::<f64>().unwrap(),
            );
        }
        return all(described(words, timeout));
    }
    if let Some(delay) = server["reply_delay_s"].as_f64() {
        let words = format!("replies after {delay} s");
        return all(described(&words, timeout));
    }
    if let Some(status) = server["reply_status"].as_i64() {
        return all(response(
            status,
            "",
            server["reply_body"].as_str().unwrap_or_default(),
        ));
    }
    if let Some(words) = server["reply"].as_str() {
        return all(described(words, timeout));
    }
    let mut routes: Routes = Vec::new();
    for (path, words) in server.as_object().unwrap() {
        let path = if path == "other paths" {
            ""
        } else {
            path.split('?').next().unwrap()
        };
        assert!(
            path.is_empty() || path.starts_with('/'),
            "no path: {path:?}"
        );
        routes.push((path.to_owned(), described(words.as_str().unwrap(), timeout)));
    }
    // Every other path comes last.
    routes.sort_by_key(|(path, _)| path.is_empty());
    routes
}

/// Hops that answer at once as long as the time would have sufficed, then one that does not.
fn hops(count: usize, in_time: f64) -> Routes {
    let hop = |at: usize| {
        let path = if at == 0 {
            "/".to_owned()
        } else {
            format!("/{at}")
        };
        let answer = if (at as f64) + 1.0 > in_time {
            Answer::Stall(Vec::new())
        } else if at == count {
            response(200, "", "")
        } else {
            redirect(302, &format!("/{}", at + 1))
        };
        (path, answer)
    };
    (0..=count).map(hop).collect()
}
