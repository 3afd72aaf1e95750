use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Timeout of probes that get a response.
const LONG_TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout of probes that get none.
const SHORT_TIMEOUT: Duration = Duration::from_millis(300);

/// Response of a server to a health check.
#[derive(Clone)]
enum Reply {
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

async fn spawn_server(reply: Reply) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, reply).await;
    });
    address
}

async fn serve(stream: TcpStream, reply: Reply) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut unanswered = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.headers()["user-agent"], "kube-probe/1.36");
        let head = Response::builder().header("content-type", "application/grpc");
        let message = match reply.clone() {
            Reply::Never => {
                unanswered.push(respond);
                continue;
            }
            Reply::Reset => {
                respond.send_reset(h2::Reason::INTERNAL_ERROR);
                continue;
            }
            Reply::Http(status) => {
                let head = Response::builder().status(status).body(()).unwrap();
                respond.send_response(head, true).unwrap();
                continue;
            }
            Reply::Trailers(code, message) => {
                let head = head
                    .header("grpc-status", code)
                    .header("grpc-message", message);
                respond.send_response(head.body(()).unwrap(), true).unwrap();
                continue;
            }
            Reply::Status(status) => call::frame(&call::Response { status }),
            Reply::Message(bytes) => Bytes::from(bytes),
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

async fn probe_server(address: SocketAddr, timeout: Duration) -> Outcome {
    let host = address.ip().to_string();
    probe(&host, address.port(), "", "kube-probe/1.36", timeout).await
}

#[tokio::test]
async fn serving_status_or_rpc_status_determines_the_outcome() {
    let rpc = "error: health rpc probe failed: rpc error: code = ";
    for (reply, reason, output) in [
        (Reply::Status(1), None, "service healthy".to_owned()),
        (
            Reply::Status(2),
            Some(Reason::NotServing),
            "service unhealthy (responded with \"NOT_SERVING\")".to_owned(),
        ),
        (
            Reply::Status(0),
            Some(Reason::NotServing),
            "service unhealthy (responded with \"UNKNOWN\")".to_owned(),
        ),
        (
            Reply::Status(9),
            Some(Reason::NotServing),
            "service unhealthy (responded with \"9\")".to_owned(),
        ),
        (
            Reply::Trailers("12", "unknown%20method"),
            Some(Reason::Protocol),
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown method".to_owned(),
        ),
        (
            Reply::Trailers("5", "unknown service"),
            Some(Reason::Protocol),
            format!("{rpc}NotFound desc = unknown service"),
        ),
        (
            Reply::Trailers("99", ""),
            Some(Reason::Protocol),
            format!("{rpc}Code(99) desc = "),
        ),
        (
            Reply::Http(503),
            Some(Reason::Protocol),
            format!("{rpc}Unavailable desc = unexpected HTTP status code received from server: 503 (Service Unavailable)"),
        ),
        (
            Reply::Message(vec![0, 0]),
            Some(Reason::Protocol),
            format!("{rpc}Internal desc = grpc: the response contains no message"),
        ),
        (
            Reply::Message(vec![1, 0, 0, 0, 0]),
            Some(Reason::Protocol),
            format!("{rpc}Internal desc = grpc: the response is compressed, but the request did not accept compression"),
        ),
        (
            Reply::Message(vec![0; 5000]),
            Some(Reason::Protocol),
            format!("{rpc}ResourceExhausted desc = grpc: received message larger than max (5000 vs. 4096)"),
        ),
    ] {
        let outcome = probe_server(spawn_server(reply).await, LONG_TIMEOUT).await;
        assert_eq!(outcome.output, output);
        assert_eq!(outcome.reason, reason, "{output}");
        assert_eq!(outcome.verdict == Verdict::Success, reason.is_none(), "{output}");
    }
}

#[tokio::test]
async fn call_reset_by_the_server_is_a_failure() {
    let outcome = probe_server(spawn_server(Reply::Reset).await, LONG_TIMEOUT).await;
    let expected = "error: health rpc probe failed: rpc error: code = Unavailable desc = error reading from server: ";
    assert!(outcome.output.starts_with(expected), "{}", outcome.output);
}

#[tokio::test]
async fn call_without_a_response_times_out() {
    let outcome = probe_server(spawn_server(Reply::Never).await, SHORT_TIMEOUT).await;
    assert_eq!(
        outcome.output,
        "timeout: health rpc did not complete within 300ms"
    );
    assert_eq!(outcome.reason, Some(Reason::ResponseTimeout));
}

#[tokio::test]
async fn peer_without_http2_is_a_connect_timeout() {
    // A closed port, a server that sends nothing, and one that speaks HTTP/1.1.
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
        let outcome = probe_server(address, SHORT_TIMEOUT).await;
        let expected = format!(
            "timeout: failed to connect service \"{address}\" within 300ms: context deadline exceeded"
        );
        assert_eq!(outcome.output, expected);
        assert_eq!(outcome.reason, Some(reason));
    }
}
