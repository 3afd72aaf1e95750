use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::kubelet_conformance::tls_acceptor;

mod redirects;

/// Timeout of probes that get a response.
const LONG_TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout of probes that get none: enough to connect. No test depends on the time that passes.
const SHORT_TIMEOUT: Duration = Duration::from_millis(300);

/// Sends one scripted response on each connection, and records the requests.
struct ScriptedServer {
    address: SocketAddr,
    requests: tokio::task::JoinHandle<Vec<String>>,
}

impl ScriptedServer {
    async fn start(responses: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = tokio::spawn(async move {
            let mut requests = Vec::new();
            for response in responses {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap() > 0
                {
                }
                requests.push(String::from_utf8(head).unwrap());
                stream.write_all(response.as_bytes()).await.unwrap();
            }
            requests
        });
        Self { address, requests }
    }

    /// Starts a server that sends `bytes` and then nothing, with the connection open.
    async fn start_stalling(bytes: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(bytes.as_bytes()).await.unwrap();
            let mut sink = Vec::new();
            drop(stream.read_to_end(&mut sink).await);
            std::future::pending::<()>().await;
        });
        address
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> HttpGet {
        get(&format!("http://{}{path}", self.address), headers)
    }
}

fn get(url: &str, headers: &[(&str, &str)]) -> HttpGet {
    HttpGet {
        url: url.to_owned(),
        headers: crate::handler::headers::canonicalize(headers.iter().copied()),
    }
}

fn client() -> Client {
    Client::new("kube-probe/1.36", Http2::Offered)
}

fn ok_response(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn redirect_response(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn probe_without_headers_sends_exactly_the_kubelets_request() {
    let server = ScriptedServer::start(vec![ok_response("fine")]).await;
    let outcome = client()
        .probe(&server.get("/healthz?a=b c", &[]), LONG_TIMEOUT)
        .await
        .unwrap();
    assert_eq!(
        (outcome.verdict, outcome.output.as_str()),
        (Verdict::Success, "fine")
    );
    let expected = format!(
        "GET /healthz?a=b c HTTP/1.1\r\nHost: {}\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        server.address
    );
    assert_eq!(server.requests.await.unwrap(), [expected]);
}

#[tokio::test]
async fn manifest_headers_are_sent_sorted_without_those_that_describe_a_body() {
    let server = ScriptedServer::start(vec![ok_response("")]).await;
    let headers = [
        ("x-b", "2"),
        ("x-b", "3"),
        ("host", "example.org"),
        ("user-agent", ""),
        ("accept", ""),
        ("content-length", "9"),
        ("transfer-encoding", "chunked"),
        ("trailer", "x"),
        ("connection", "keep-alive"),
        ("a", " 1 "),
    ];
    client()
        .probe(&server.get("/", &headers), LONG_TIMEOUT)
        .await
        .unwrap();
    assert_eq!(
        server.requests.await.unwrap(),
        [
            "GET / HTTP/1.1\r\nHost: example.org\r\nA: 1\r\nConnection: keep-alive\r\nX-B: 2\r\nX-B: 3\r\nConnection: close\r\n\r\n"
        ]
    );
}

#[tokio::test]
async fn header_with_line_break_is_rejected() {
    for (name, value, expected) in [
        (
            "X-Bad",
            "a\r\nX-Smuggled: 1",
            "net/http: invalid header field value for \"X-Bad\"",
        ),
        (
            "X Bad",
            "a",
            "net/http: invalid header field name \"X Bad\"",
        ),
        ("Host", "a\r\nb", "http: invalid Host header"),
        (
            "User-Agent",
            "a\nb",
            "net/http: invalid header field value for \"User-Agent\"",
        ),
    ] {
        let get = get("http://127.0.0.1:1/", &[(name, value)]);
        let outcome = client().probe(&get, LONG_TIMEOUT).await.unwrap();
        assert_eq!(
            outcome.output,
            format!("Get \"http://127.0.0.1:1/\": {expected}")
        );
        assert_eq!(outcome.reason, Some(Reason::Other));
    }
}

#[tokio::test]
async fn protocol_violation_is_a_failure_with_the_text_of_go() {
    let broken = "net/http: HTTP/1.x transport connection broken: ";
    for (response, expected) in [
        ("", "EOF".to_owned()),
        ("garbage\r\n", "malformed HTTP response \"garbage\"".to_owned()),
        ("HTTP/1.1 -1 x\r\n", format!("{broken}malformed HTTP status code \"-1\"")),
        ("HTTP/1.1 200 OK\r\nA: b\r\n", format!("{broken}unexpected EOF")),
        (
            "HTTP/1.1 301 M\r\nLocation: http://%zz/\r\n\r\n",
            "failed to parse Location header \"http://%zz/\": parse \"http://%zz/\": invalid URL escape \"%zz\"".to_owned(),
        ),
    ] {
        let server = ScriptedServer::start(vec![response.to_owned()]).await;
        let outcome = client().probe(&server.get("/", &[]), LONG_TIMEOUT).await.unwrap();
        assert_eq!(outcome.output, format!("Get \"http://{}/\": {expected}", server.address));
        assert_eq!((outcome.verdict, outcome.reason), (Verdict::Failure, Some(Reason::Protocol)));
    }
}

#[tokio::test]
async fn final_status_determines_the_verdict() {
    for (response, verdict, output) in [
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            Verdict::Success,
            "ok",
        ),
        (
            "HTTP/1.1 399 X\r\n\r\n",
            Verdict::Warning,
            "Probe terminated redirects, Response body: ",
        ),
        (
            "HTTP/1.1 302 X\r\n\r\n",
            Verdict::Warning,
            "Probe terminated redirects, Response body: ",
        ),
        (
            "HTTP/1.1 304 X\r\nLocation: /x\r\n\r\n",
            Verdict::Warning,
            "Probe terminated redirects, Response body: ",
        ),
        (
            "HTTP/1.1 101 X\r\n\r\n",
            Verdict::Failure,
            "HTTP probe failed with statuscode: 101",
        ),
        (
            "HTTP/1.1 400 X\r\n\r\nsecret",
            Verdict::Failure,
            "HTTP probe failed with statuscode: 400",
        ),
        (
            "HTTP/1.1 500 X\r\n\r\n",
            Verdict::Failure,
            "HTTP probe failed with statuscode: 500",
        ),
    ] {
        let server = ScriptedServer::start(vec![response.to_owned()]).await;
        let outcome = client()
            .probe(&server.get("/", &[]), LONG_TIMEOUT)
            .await
            .unwrap();
        assert_eq!(
            (outcome.verdict, outcome.output.as_str()),
            (verdict, output),
            "{response}"
        );
    }
}

#[tokio::test]
async fn timeout_before_the_headers_is_a_failure_and_after_them_an_error() {
    let address = ScriptedServer::start_stalling("HTTP/1.1 200 OK\r\n").await;
    let probed = get(&format!("http://{address}/"), &[]);
    let outcome = client().probe(&probed, SHORT_TIMEOUT).await.unwrap();
    assert_eq!(outcome.reason, Some(Reason::ResponseTimeout));
    assert_eq!(
        outcome.output,
        format!("Get \"http://{address}/\": {HEADER_TIMEOUT}")
    );

    let address =
        ScriptedServer::start_stalling("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    let probed = get(&format!("http://{address}/"), &[]);
    let error = client().probe(&probed, SHORT_TIMEOUT).await.unwrap_err();
    assert_eq!(error, ProbeError::interrupted(BODY_TIMEOUT));

    let cut = "HTTP/1.1 500 X\r\nContent-Length: 10\r\n\r\nabc".to_owned();
    let server = ScriptedServer::start(vec![cut]).await;
    let error = client()
        .probe(&server.get("/", &[]), LONG_TIMEOUT)
        .await
        .unwrap_err();
    assert_eq!(error, ProbeError::interrupted("unexpected EOF"));
}

#[tokio::test]
async fn invalid_host_is_an_error() {
    let error = client()
        .probe(&get("http://a%2Fb:80/", &[]), LONG_TIMEOUT)
        .await
        .unwrap_err();
    let expected = "parse \"http://a%2Fb:80/\": invalid URL escape \"%2F\"";
    assert_eq!(error, ProbeError::unknown(expected));
}

#[tokio::test]
async fn any_certificate_is_accepted_and_http2_is_negotiated() {
    for http2 in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = tls_acceptor(http2).accept(stream).await.unwrap();
            if !http2 {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    stream.read_buf(&mut head).await.unwrap();
                }
                stream
                    .write_all(ok_response("one").as_bytes())
                    .await
                    .unwrap();
                stream.shutdown().await.unwrap();
                return;
            }
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                assert_eq!(request.uri().authority().unwrap(), "example.org");
                assert!(!request.headers().contains_key("connection"));
                let mut body = respond
                    .send_response(http::Response::new(()), false)
                    .unwrap();
                body.send_data("two".into(), true).unwrap();
            }
        });
        let probed = get(
            &format!("https://{address}/x"),
            &[("Host", "example.org"), ("Connection", "x")],
        );
        let outcome = client().probe(&probed, LONG_TIMEOUT).await.unwrap();
        let expected = if http2 { "two" } else { "one" };
        assert_eq!(outcome.output, expected);
        server.await.unwrap();
    }
}

#[tokio::test]
async fn plain_http_response_to_tls_has_its_own_error() {
    let address = ScriptedServer::start_stalling("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let outcome = client()
        .probe(&get(&format!("https://{address}/"), &[]), LONG_TIMEOUT)
        .await
        .unwrap();
    assert_eq!(outcome.reason, Some(Reason::Tls));
    assert_eq!(
        outcome.output,
        format!("Get \"https://{address}/\": http: server gave HTTP response to HTTPS client")
    );
}
