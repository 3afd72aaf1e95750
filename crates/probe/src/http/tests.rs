use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::kubelet_cases::acceptor;

const LONG: Duration = Duration::from_secs(30);
/// Long enough to connect and short enough to wait for; nothing is asserted of how long it took.
const SHORT: Duration = Duration::from_millis(300);

/// Serves one scripted answer to each connection in turn, and keeps what was asked.
struct Peer {
    address: SocketAddr,
    asked: tokio::task::JoinHandle<Vec<String>>,
}

impl Peer {
    async fn serving(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap() > 0
                {
                }
                asked.push(String::from_utf8(head).unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        Self { address, asked }
    }

    /// Answers once and then stays silent with the connection open.
    async fn stalling(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
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
        headers: crate::action::headers::canonical(headers.iter().copied()),
    }
}

fn client() -> Client {
    Client::new("kube-probe/1.36", true)
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn moved(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn a_plain_probe_sends_exactly_the_kubelets_lines() {
    let peer = Peer::serving(vec![ok("fine")]).await;
    let outcome = client()
        .probe(&peer.get("/healthz?a=b c", &[]), LONG)
        .await
        .unwrap();
    assert_eq!(
        (outcome.verdict, outcome.output.as_str()),
        (Verdict::Success, "fine")
    );
    let expected = format!(
        "GET /healthz?a=b c HTTP/1.1\r\nHost: {}\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        peer.address
    );
    assert_eq!(peer.asked.await.unwrap(), [expected]);
}

#[tokio::test]
async fn headers_of_the_manifest_are_sent_sorted_and_those_that_lie_are_dropped() {
    let peer = Peer::serving(vec![ok("")]).await;
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
        .probe(&peer.get("/", &headers), LONG)
        .await
        .unwrap();
    assert_eq!(
        peer.asked.await.unwrap(),
        [
            "GET / HTTP/1.1\r\nHost: example.org\r\nA: 1\r\nConnection: keep-alive\r\nX-B: 2\r\nX-B: 3\r\nConnection: close\r\n\r\n"
        ]
    );
}

#[tokio::test]
async fn a_header_that_would_break_its_line_is_never_sent() {
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
        let outcome = client().probe(&get, LONG).await.unwrap();
        assert_eq!(
            outcome.output,
            format!("Get \"http://127.0.0.1:1/\": {expected}")
        );
        assert_eq!(outcome.reason, Some(Reason::Other));
    }
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_host_name_only() {
    let peer = Peer::serving(vec![moved(302, "next"), moved(308, "http://127.0.0.1:1/x")]).await;
    let probed = peer.get("/a/b", &[("Host", "example.org"), ("X-Keep", "1")]);
    let outcome = client().probe(&probed, LONG).await.unwrap();
    assert_eq!(outcome.reason, Some(Reason::Refused));
    assert_eq!(
        outcome.output,
        "Get \"http://127.0.0.1:1/x\": dial tcp 127.0.0.1:1: connect: connection refused"
    );
    let address = peer.address;
    let second = &peer.asked.await.unwrap()[1];
    assert!(
        second.starts_with("GET /a/next HTTP/1.1\r\nHost: example.org\r\n"),
        "{second}"
    );
    assert!(second.contains("X-Keep: 1\r\n"), "{second}");
    assert!(
        second.contains(&format!("Referer: http://{address}/a/b\r\n")),
        "{second}"
    );

    for status in [301, 302, 303, 307, 308] {
        let peer = Peer::serving(vec![moved(status, "http://localhost/x")]).await;
        let outcome = client().probe(&peer.get("/", &[]), LONG).await.unwrap();
        assert_eq!(outcome.verdict, Verdict::Warning, "{status}");
        assert_eq!(
            outcome.output,
            "Probe terminated redirects, Response body: "
        );
    }
}

#[tokio::test]
async fn an_absolute_redirect_forgets_the_host_header() {
    let last = Peer::serving(vec![ok("")]).await;
    let peer = Peer::serving(vec![moved(302, &format!("http://{}/", last.address))]).await;
    client()
        .probe(&peer.get("/", &[("Host", "example.org")]), LONG)
        .await
        .unwrap();
    let asked = last.asked.await.unwrap().remove(0);
    assert!(
        asked.contains(&format!("\r\nHost: {}\r\n", last.address)),
        "{asked}"
    );
}

#[tokio::test]
async fn the_tenth_redirect_is_the_last() {
    let peer = Peer::serving(vec![moved(302, "/loop"); 10]).await;
    let outcome = client().probe(&peer.get("/", &[]), LONG).await.unwrap();
    assert_eq!(outcome.output, "Get \"/loop\": stopped after 10 redirects");
    assert_eq!(peer.asked.await.unwrap().len(), 10);
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_host() {
    let last = Peer::serving(vec![ok("")]).await;
    let elsewhere = format!("http://localhost:{}/", last.address.port());
    let peer = Peer::serving(vec![moved(302, &elsewhere)]).await;
    let probed = peer.get("/", &[("Authorization", "secret"), ("X", "1")]);
    let outcome = client()
        .following_other_hosts()
        .probe(&probed, LONG)
        .await
        .unwrap();
    assert_eq!(outcome.verdict, Verdict::Success, "{}", outcome.output);
    let asked = last.asked.await.unwrap().remove(0);
    assert!(
        asked.contains("\r\nX: 1\r\n") && !asked.contains("secret"),
        "{asked}"
    );
}

#[tokio::test]
async fn what_the_peer_does_wrong_is_a_failure_in_gos_words() {
    let broken = "net/http: HTTP/1.x transport connection broken: ";
    for (answer, expected) in [
        ("", "EOF".to_owned()),
        ("garbage\r\n", "malformed HTTP response \"garbage\"".to_owned()),
        ("HTTP/1.1 -1 x\r\n", format!("{broken}malformed HTTP status code \"-1\"")),
        ("HTTP/1.1 200 OK\r\nA: b\r\n", format!("{broken}unexpected EOF")),
        (
            "HTTP/1.1 301 M\r\nLocation: http://%zz/\r\n\r\n",
            "failed to parse Location header \"http://%zz/\": parse \"http://%zz/\": invalid URL escape \"%zz\"".to_owned(),
        ),
    ] {
        let peer = Peer::serving(vec![answer.to_owned()]).await;
        let outcome = client().probe(&peer.get("/", &[]), LONG).await.unwrap();
        assert_eq!(outcome.output, format!("Get \"http://{}/\": {expected}", peer.address));
        assert_eq!((outcome.verdict, outcome.reason), (Verdict::Failure, Some(Reason::Protocol)));
    }
}

#[tokio::test]
async fn the_final_status_decides() {
    for (answer, verdict, output) in [
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
        let peer = Peer::serving(vec![answer.to_owned()]).await;
        let outcome = client().probe(&peer.get("/", &[]), LONG).await.unwrap();
        assert_eq!(
            (outcome.verdict, outcome.output.as_str()),
            (verdict, output),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn silence_before_the_head_is_a_failure_and_after_it_an_error() {
    let address = Peer::stalling("HTTP/1.1 200 OK\r\n").await;
    let probed = get(&format!("http://{address}/"), &[]);
    let outcome = client().probe(&probed, SHORT).await.unwrap();
    assert_eq!(outcome.reason, Some(Reason::ResponseTimeout));
    assert_eq!(
        outcome.output,
        format!("Get \"http://{address}/\": {NO_HEAD_IN_TIME}")
    );

    let address = Peer::stalling("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    let probed = get(&format!("http://{address}/"), &[]);
    let error = client().probe(&probed, SHORT).await.unwrap_err();
    assert_eq!(error, ProbeError::broken_off(NO_BODY_IN_TIME));

    let cut = "HTTP/1.1 500 X\r\nContent-Length: 10\r\n\r\nabc".to_owned();
    let peer = Peer::serving(vec![cut]).await;
    let error = client().probe(&peer.get("/", &[]), LONG).await.unwrap_err();
    assert_eq!(error, ProbeError::broken_off("unexpected EOF"));
}

#[tokio::test]
async fn a_host_that_is_none_is_an_error_and_counts_for_nothing() {
    let error = client()
        .probe(&get("http://a%2Fb:80/", &[]), LONG)
        .await
        .unwrap_err();
    let expected = "parse \"http://a%2Fb:80/\": invalid URL escape \"%2F\"";
    assert_eq!(error, ProbeError::unknown(expected));
}

#[tokio::test]
async fn any_certificate_will_do_and_http2_is_spoken_where_it_is_offered() {
    for http2 in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor(http2).accept(stream).await.unwrap();
            if !http2 {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    stream.read_buf(&mut head).await.unwrap();
                }
                stream.write_all(ok("one").as_bytes()).await.unwrap();
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
        let outcome = client().probe(&probed, LONG).await.unwrap();
        let expected = if http2 { "two" } else { "one" };
        assert_eq!(outcome.output, expected);
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_plain_server_answering_tls_is_told_apart() {
    let address = Peer::stalling("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let outcome = client()
        .probe(&get(&format!("https://{address}/"), &[]), LONG)
        .await
        .unwrap();
    assert_eq!(outcome.reason, Some(Reason::Tls));
    assert_eq!(
        outcome.output,
        format!("Get \"https://{address}/\": http: server gave HTTP response to HTTPS client")
    );
}
