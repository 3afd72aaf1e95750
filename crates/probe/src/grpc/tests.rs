use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::*;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

/// What a server says to a health call.
#[derive(Clone)]
enum Answer {
    Status(i32),
    Trailers(&'static str, &'static str),
    Http(u16),
    Message(Vec<u8>),
    Never,
    Reset,
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serving(answer: Answer) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, answer).await;
    });
    address
}

async fn serve(stream: TcpStream, answer: Answer) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut kept = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.headers()["user-agent"], "kube-probe/1.36");
        let head = Response::builder().header("content-type", "application/grpc");
        let message = match answer.clone() {
            Answer::Never => {
                kept.push(respond);
                continue;
            }
            Answer::Reset => {
                respond.send_reset(h2::Reason::INTERNAL_ERROR);
                continue;
            }
            Answer::Http(status) => {
                let head = Response::builder().status(status).body(()).unwrap();
                respond.send_response(head, true).unwrap();
                continue;
            }
            Answer::Trailers(code, message) => {
                let head = head
                    .header("grpc-status", code)
                    .header("grpc-message", message);
                respond.send_response(head.body(()).unwrap(), true).unwrap();
                continue;
            }
            Answer::Status(status) => call::frame(&call::Response { status }),
            Answer::Message(bytes) => Bytes::from(bytes),
        };
        let mut body = respond
            .send_response(head.body(()).unwrap(), false)
            .unwrap();
        body.send_data(message, false).unwrap();
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        body.send_trailers(trailers).unwrap();
    }
}

async fn ask(address: SocketAddr, timeout: Duration) -> Outcome {
    let host = address.ip().to_string();
    probe(&host, address.port(), "", "kube-probe/1.36", timeout).await
}

#[tokio::test]
async fn the_answer_of_the_service_decides() {
    let rpc = "error: health rpc probe failed: rpc error: code = ";
    for (answer, reason, output) in [
        (Answer::Status(1), None, "service healthy".to_owned()),
        (
            Answer::Status(2),
            Some(Reason::NotServing),
            "service unhealthy (responded with \"NOT_SERVING\")".to_owned(),
        ),
        (
            Answer::Status(0),
            Some(Reason::NotServing),
            "service unhealthy (responded with \"UNKNOWN\")".to_owned(),
        ),
        (
            Answer::Status(9),
            Some(Reason::NotServing),
            "service unhealthy (responded with \"9\")".to_owned(),
        ),
        (
            Answer::Trailers("12", "unknown%20method"),
            Some(Reason::Protocol),
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown method".to_owned(),
        ),
        (
            Answer::Trailers("5", "unknown service"),
            Some(Reason::Protocol),
            format!("{rpc}NotFound desc = unknown service"),
        ),
        (
            Answer::Trailers("99", ""),
            Some(Reason::Protocol),
            format!("{rpc}Code(99) desc = "),
        ),
        (
            Answer::Http(503),
            Some(Reason::Protocol),
            format!("{rpc}Unavailable desc = unexpected HTTP status code received from server: 503 (Service Unavailable)"),
        ),
        (
            Answer::Message(vec![0, 0]),
            Some(Reason::Protocol),
            format!("{rpc}Internal desc = grpc: the answer has no message"),
        ),
        (
            Answer::Message(vec![1, 0, 0, 0, 0]),
            Some(Reason::Protocol),
            format!("{rpc}Internal desc = grpc: the answer is compressed, which was not asked for"),
        ),
        (
            Answer::Message(vec![0; 5000]),
            Some(Reason::Protocol),
            format!("{rpc}ResourceExhausted desc = grpc: received message larger than max (5000 vs. 4096)"),
        ),
    ] {
        let outcome = ask(serving(answer).await, LONG).await;
        assert_eq!(outcome.output, output);
        assert_eq!(outcome.reason, reason, "{output}");
        assert_eq!(outcome.verdict == Verdict::Success, reason.is_none(), "{output}");
    }
}

#[tokio::test]
async fn a_call_that_breaks_off_is_a_failure() {
    let outcome = ask(serving(Answer::Reset).await, LONG).await;
    let expected = "error: health rpc probe failed: rpc error: code = Unavailable desc = error reading from server: ";
    assert!(outcome.output.starts_with(expected), "{}", outcome.output);
}

#[tokio::test]
async fn a_call_without_an_answer_did_not_complete() {
    let outcome = ask(serving(Answer::Never).await, SHORT).await;
    assert_eq!(
        outcome.output,
        "timeout: health rpc did not complete within 300ms"
    );
    assert_eq!(outcome.reason, Some(Reason::ResponseTimeout));
}

#[tokio::test]
async fn a_peer_that_does_not_speak_http2_is_not_connected_to() {
    // A refused port, a silent one, and one that answers in HTTP/1.1.
    let (closed, refused) = listen().await;
    drop(closed);
    let (_silent, silence) = listen().await;
    let (listener, other) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        }
    });
    for (address, reason) in [
        (refused, Reason::Refused),
        (silence, Reason::ConnectTimeout),
        (other, Reason::Protocol),
    ] {
        let outcome = ask(address, SHORT).await;
        let expected = format!(
            "timeout: failed to connect service \"{address}\" within 300ms: context deadline exceeded"
        );
        assert_eq!(outcome.output, expected);
        assert_eq!(outcome.reason, Some(reason));
    }
}
