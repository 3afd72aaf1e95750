use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::api::streaming::spdy::client::SpdyClient;
use crate::api::streaming::spdy::frames::{self, Frame, ResetReason};

mod websocket;

/// Returns a pod all of whose ports connect to `address`.
fn pod(address: SocketAddr) -> TargetPod {
    TargetPod {
        name: "web".to_owned(),
        uid: "1234".to_owned(),
        dial: Arc::new(move |_| Box::pin(TcpStream::connect(address))),
    }
}

/// Returns an address without a listener.
fn closed_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Starts a server that reads each connection to its end, then returns the data with a full stop appended.
async fn start_echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut data = Vec::new();
                stream.read_to_end(&mut data).await.unwrap();
                data.push(b'.');
                stream.write_all(&data).await.unwrap();
            });
        }
    });
    address
}

/// Returns a client that forwards ports of `pod`.
fn client(pod: TargetPod) -> SpdyClient {
    let (client, server_side) = SpdyClient::new();
    tokio::spawn(serve_spdy(server_side, pod));
    client
}

/// Opens both streams of one connection: `error_stream`, and the data stream with the next odd number.
async fn connect(client: &mut SpdyClient, error_stream: u32, request_id: &str) {
    for (stream, stream_type) in [(error_stream, "error"), (error_stream + 2, "data")] {
        let headers = [
            ("streamtype", stream_type),
            ("port", "80"),
            ("requestid", request_id),
        ];
        client.open(stream, &headers).await;
    }
}

#[tokio::test]
async fn pod_receives_data_and_its_response_reaches_the_client() {
    let mut client = client(pod(start_echo_server().await));
    connect(&mut client, 1, "0").await;
    client.write(3, "one, ").await;
    client.finish(3, "two").await;
    assert_eq!(client.read_to_end(3).await, "one, two.");
    assert_eq!(client.read_to_end(1).await, "", "no error");
}

#[tokio::test]
async fn connections_are_multiplexed() {
    let mut client = client(pod(start_echo_server().await));
    connect(&mut client, 1, "0").await;
    connect(&mut client, 5, "1").await;
    client.write(3, "first").await;
    client.finish(7, "second").await;
    assert_eq!(client.read_to_end(7).await, "second.");
    client.finish(3, "").await;
    assert_eq!(client.read_to_end(3).await, "first.");
}

#[tokio::test]
async fn data_longer_than_a_chunk_is_forwarded() {
    let mut client = client(pod(start_echo_server().await));
    connect(&mut client, 1, "0").await;
    let text = "0123456789abcdef".repeat(10 * 1024);
    client.finish(3, &text).await;
    assert_eq!(client.read_to_end(3).await, text + ".");
}

#[tokio::test]
async fn connection_error_is_reported_on_the_error_stream() {
    let mut client = client(pod(closed_address()));
    connect(&mut client, 1, "0").await;
    let error = client.read_to_end(1).await;
    let prefix = "error forwarding port 80 to pod web, uid 1234: ";
    assert!(
        error.starts_with(prefix) && error.contains("refused"),
        "{error}"
    );
    assert_eq!(client.read_to_end(3).await, "");
}

#[tokio::test]
async fn reset_of_the_data_stream_closes_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = client(pod(listener.local_addr().unwrap()));
    connect(&mut client, 1, "0").await;
    let (mut connection, _) = listener.accept().await.unwrap();
    let reset = frames::reset(3, ResetReason::ProtocolError);
    client.send(&reset).await;
    assert_eq!(client.read_to_end(1).await, "");
    assert_eq!(connection.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn close_by_the_pod_closes_streams_that_the_client_keeps_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = client(pod(listener.local_addr().unwrap()));
    connect(&mut client, 1, "0").await;
    drop(listener.accept().await.unwrap());
    assert_eq!(client.read_to_end(3).await, "");
    assert_eq!(client.read_to_end(1).await, "");
}

#[tokio::test]
async fn end_of_the_session_closes_its_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = client(pod(listener.local_addr().unwrap()));
    connect(&mut client, 1, "0").await;
    let (mut connection, _) = listener.accept().await.unwrap();
    drop(client);
    assert_eq!(connection.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn stream_with_invalid_headers_is_reset_and_the_session_continues() {
    let mut client = client(pod(start_echo_server().await));
    let (port, request) = (("port", "80"), ("requestid", "0"));
    for (index, headers) in (0..).zip([
        vec![],
        vec![("streamtype", "data"), port],
        vec![("streamtype", "data"), request],
        vec![("streamtype", "unknown"), port, request],
        vec![("streamtype", "data"), ("port", "0"), request],
        vec![("streamtype", "data"), ("port", "65536"), request],
    ]) {
        let stream = 2 * index + 1;
        client.open(stream, &headers).await;
        let reset = Frame::Reset { stream };
        assert_eq!(client.next().await.unwrap().0, reset, "{headers:?}");
    }
    connect(&mut client, 101, "0").await;
    client.finish(103, "data").await;
    assert_eq!(client.read_to_end(103).await, "data.");
}

#[tokio::test]
async fn closed_connections_do_not_count_towards_the_stream_limit() {
    let mut client = client(pod(closed_address()));
    for index in 0..600 {
        let error_stream = 4 * index + 1;
        connect(&mut client, error_stream, &index.to_string()).await;
        let error = client.read_to_end(error_stream).await;
        assert!(error.contains("refused"), "{index}: {error}");
        assert_eq!(client.read_to_end(error_stream + 2).await, "");
    }
}

#[test]
fn ports_are_parsed_from_repeated_parameters_and_lists() {
    for (query, ports) in [
        ("ports=80", Some(vec![80])),
        ("ports=80&ports=443", Some(vec![80, 443])),
        ("ports=80%2C443&x=1", Some(vec![80, 443])),
        ("ports=65535", Some(vec![65535])),
        ("", None),
        ("ports=", None),
        ("ports=0", None),
        ("ports=65536", None),
        ("ports=http", None),
    ] {
        assert_eq!(parse_ports(query).ok(), ports, "{query}");
    }
    let query = |count: usize| vec!["ports=1"; count].join("&");
    assert!(parse_ports(&query(MAX_PORTS)).is_ok());
    assert!(parse_ports(&query(MAX_PORTS + 1)).is_err());
}
