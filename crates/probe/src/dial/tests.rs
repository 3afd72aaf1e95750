use super::*;
use std::time::Duration;

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

async fn dial_error(host: &str, port: i32, deadline: Instant) -> (Reason, String) {
    let error = dial(host, port, deadline).await.expect_err("no listener");
    (error.reason, error.text)
}

/// Returns a port without a listener: one that was free a moment ago.
async fn unused_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn listener_is_connected_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stream = dial("127.0.0.1", address.port().into(), deadline())
        .await
        .unwrap();
    assert_eq!(stream.stream().peer_addr().unwrap(), address);
}

#[tokio::test]
async fn refused_connection_error_contains_the_address() {
    let port = unused_port().await;
    let (reason, text) = dial_error("127.0.0.1", port.into(), deadline()).await;
    assert_eq!(reason, Reason::Refused);
    assert_eq!(
        text,
        format!("dial tcp 127.0.0.1:{port}: connect: connection refused")
    );
}

#[tokio::test]
async fn port_out_of_range_is_invalid() {
    for port in [-1, 65_536] {
        let (reason, text) = dial_error("127.0.0.1", port, deadline()).await;
        assert_eq!(reason, Reason::Other);
        assert_eq!(text, format!("dial tcp: address {port}: invalid port"));
    }
}

#[tokio::test]
async fn unresolvable_name_error_contains_the_name() {
    let (reason, text) = dial_error("no-such-host.invalid", 80, deadline()).await;
    assert_eq!(reason, Reason::Dns);
    assert_eq!(text, "dial tcp: lookup no-such-host.invalid: no such host");
}

#[tokio::test]
async fn full_backlog_is_a_connect_timeout() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // The first connection fills a backlog of length zero; the kernel drops later ones.
    let _first = TcpStream::connect(address).await.unwrap();
    let brief = Instant::now() + Duration::from_millis(50);
    let (reason, text) = dial_error("127.0.0.1", address.port().into(), brief).await;
    assert_eq!(reason, Reason::ConnectTimeout);
    assert_eq!(text, format!("dial tcp {address}: i/o timeout"));
}
