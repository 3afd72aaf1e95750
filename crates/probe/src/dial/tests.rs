use super::*;
use std::time::Duration;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

async fn refusal(host: &str, port: i32, deadline: Instant) -> (Reason, String) {
    let error = dial(host, port, deadline).await.expect_err("no listener");
    (error.reason, error.text)
}

/// A port that nobody listens at: one that was free a moment ago.
async fn unused_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_listener_is_reached() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stream = dial("127.0.0.1", address.port().into(), soon())
        .await
        .unwrap();
    assert_eq!(stream.stream().peer_addr().unwrap(), address);
}

#[tokio::test]
async fn a_refused_connection_names_the_address() {
    let port = unused_port().await;
    let (reason, text) = refusal("127.0.0.1", port.into(), soon()).await;
    assert_eq!(reason, Reason::Refused);
    assert_eq!(
        text,
        format!("dial tcp 127.0.0.1:{port}: connect: connection refused")
    );
}

#[tokio::test]
async fn a_port_out_of_range_is_no_port() {
    for port in [-1, 65_536] {
        let (reason, text) = refusal("127.0.0.1", port, soon()).await;
        assert_eq!(reason, Reason::Other);
        assert_eq!(text, format!("dial tcp: address {port}: invalid port"));
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_named() {
    let (reason, text) = refusal("no-such-host.invalid", 80, soon()).await;
    assert_eq!(reason, Reason::Dns);
    assert_eq!(text, "dial tcp: lookup no-such-host.invalid: no such host");
}

#[tokio::test]
async fn a_full_backlog_is_a_timeout() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // The first connection fills a backlog of nought; the kernel drops what comes after it.
    let _first = TcpStream::connect(address).await.unwrap();
    let brief = Instant::now() + Duration::from_millis(50);
    let (reason, text) = refusal("127.0.0.1", address.port().into(), brief).await;
    assert_eq!(reason, Reason::ConnectTimeout);
    assert_eq!(text, format!("dial tcp {address}: i/o timeout"));
}
