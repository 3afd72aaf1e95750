//! What is carried by a WebSocket: channels, and SPDY.

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::protocol::Message;

use super::*;
use crate::api::tests::web_socket::{self, Socket, connect};

/// A WebSocket to `pod`, by a protocol.
async fn web_socket(pod: Pod, protocol: &str, query: &'static str) -> Option<Socket> {
    let app = Router::new().fallback(any(move |upgrade: WebSocketUpgrade| async move {
        let component = crate::api::tests::api().component;
        over_web_socket(upgrade, pod, query, component).unwrap_or_else(Failure::into_response)
    }));
    connect(app, "/", protocol).await
}

/// What is said in bytes until the other side closes.
async fn all(socket: &mut Socket) -> Vec<Bytes> {
    let messages = web_socket::all(socket).await.into_iter();
    messages.map(Message::into_data).collect()
}

#[tokio::test]
async fn channels_carry_a_port_each_after_its_number() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pod = pod(listener.local_addr().unwrap());
    let mut socket = web_socket(pod, CHANNELS, "ports=8080").await.unwrap();
    let (mut held, _) = listener.accept().await.unwrap();
    // Channel 0 is the port's, 1 is that of its errors, and 2 is of no port.
    for message in [
        b"\x01ignored".as_slice(),
        b"\x02ignored",
        b"",
        b"\0question",
    ] {
        let message = Message::Binary(Bytes::copy_from_slice(message));
        socket.send(message).await.unwrap();
    }
    let mut said = [0; 8];
    held.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"question");
    held.write_all(b"answer").await.unwrap();
    drop(held);
    let expected: [&[u8]; 3] = [b"\0\x90\x1f", b"\x01\x90\x1f", b"\0answer"];
    assert_eq!(all(&mut socket).await, expected);
}

#[tokio::test]
async fn a_client_that_closes_ends_connections_of_which_the_port_has_more_to_say() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pod = pod(listener.local_addr().unwrap());
    let mut socket = web_socket(pod, CHANNELS, "ports=8080").await.unwrap();
    let (mut held, _) = listener.accept().await.unwrap();
    socket.close(None).await.unwrap();
    assert_eq!(held.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_port_that_nobody_listens_at_is_told_on_its_channel_for_errors() {
    let mut socket = web_socket(pod(nobody()), CHANNELS, "ports=80,81")
        .await
        .unwrap();
    let messages = all(&mut socket).await;
    for (channel, port) in [(1, "80"), (3, "81")] {
        let of_channel = messages.iter().filter(|message| message[0] == channel);
        let last = of_channel.last().unwrap();
        let text = std::str::from_utf8(&last[1..]).unwrap();
        assert!(text.starts_with(&format!("error forwarding port {port} to pod web")));
    }
}

#[tokio::test]
async fn spdy_is_carried_in_messages_that_cut_it_anywhere() {
    let mut socket = web_socket(pod(nobody()), TUNNEL, "").await.unwrap();
    for byte in frames::ping(7) {
        let message = Message::Binary(Bytes::copy_from_slice(&[byte]));
        socket.send(message).await.unwrap();
    }
    let mut back = Vec::new();
    while back.len() < 12 {
        back.extend_from_slice(&socket.next().await.unwrap().unwrap().into_data());
    }
    assert_eq!(back, frames::ping(7));
    socket.close(None).await.unwrap();
    assert_eq!(all(&mut socket).await, Vec::<Bytes>::new());
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let socket = web_socket(pod(nobody()), "v5.channel.k8s.io", "ports=80").await;
    assert!(socket.is_none());
}
