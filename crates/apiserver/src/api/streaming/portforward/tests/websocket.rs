//! Port forwarding over a WebSocket: channels, and tunnelled SPDY.

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::protocol::Message;

use super::*;
use crate::api::tests::websocket::{self, Socket, connect};

/// Opens a WebSocket with this subprotocol to `pod`; returns `None` if it is rejected.
async fn open(pod: TargetPod, protocol: &str, query: &'static str) -> Option<Socket> {
    let app = Router::new().fallback(any(move |upgrade: WebSocketUpgrade| async move {
        let component = crate::api::tests::api().component;
        upgrade_to_websocket(upgrade, pod, query, component)
            .unwrap_or_else(StatusError::into_response)
    }));
    connect(app, "/", protocol).await
}

/// Returns the payloads of all messages until the server closes the connection.
async fn receive_all(socket: &mut Socket) -> Vec<Bytes> {
    let messages = websocket::receive_all(socket).await.into_iter();
    messages.map(Message::into_data).collect()
}

#[tokio::test]
async fn each_channel_sends_its_port_first_and_then_data() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pod = pod(listener.local_addr().unwrap());
    let mut socket = open(pod, CHANNEL_PROTOCOL, "ports=8080").await.unwrap();
    let (mut connection, _) = listener.accept().await.unwrap();
    // Channel 0 carries data, channel 1 errors; channel 2 has no port.
    for message in [
        b"\x01ignored".as_slice(),
        b"\x02ignored",
        b"",
        b"\0question",
    ] {
        let message = Message::Binary(Bytes::copy_from_slice(message));
        socket.send(message).await.unwrap();
    }
    let mut received = [0; 8];
    connection.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"question");
    connection.write_all(b"answer").await.unwrap();
    drop(connection);
    let expected: [&[u8]; 3] = [b"\0\x90\x1f", b"\x01\x90\x1f", b"\0answer"];
    assert_eq!(receive_all(&mut socket).await, expected);
}

#[tokio::test]
async fn close_by_the_client_closes_open_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pod = pod(listener.local_addr().unwrap());
    let mut socket = open(pod, CHANNEL_PROTOCOL, "ports=8080").await.unwrap();
    let (mut connection, _) = listener.accept().await.unwrap();
    socket.close(None).await.unwrap();
    assert_eq!(connection.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn connection_error_is_reported_on_the_error_channel() {
    let mut socket = open(pod(closed_address()), CHANNEL_PROTOCOL, "ports=80,81")
        .await
        .unwrap();
    let messages = receive_all(&mut socket).await;
    for (channel, port) in [(1, "80"), (3, "81")] {
        let of_channel = messages.iter().filter(|message| message[0] == channel);
        let last = of_channel.last().unwrap();
        let text = std::str::from_utf8(&last[1..]).unwrap();
        assert!(text.starts_with(&format!("error forwarding port {port} to pod web")));
    }
}

#[tokio::test]
async fn tunnelled_frame_may_span_messages() {
    let mut socket = open(pod(closed_address()), TUNNEL_PROTOCOL, "")
        .await
        .unwrap();
    for byte in frames::ping(7) {
        let message = Message::Binary(Bytes::copy_from_slice(&[byte]));
        socket.send(message).await.unwrap();
    }
    let mut received = Vec::new();
    while received.len() < 12 {
        received.extend_from_slice(&socket.next().await.unwrap().unwrap().into_data());
    }
    assert_eq!(received, frames::ping(7));
    socket.close(None).await.unwrap();
    assert_eq!(receive_all(&mut socket).await, Vec::<Bytes>::new());
}

#[tokio::test]
async fn unsupported_protocol_is_rejected() {
    let socket = open(pod(closed_address()), "v5.channel.k8s.io", "ports=80").await;
    assert!(socket.is_none());
}
