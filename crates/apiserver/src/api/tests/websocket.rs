//! WebSocket client for tests, and watches and logs over WebSocket.

use axum::Router;
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::{CONFIG_MAPS, api, config_map, send};
use crate::api::streaming::websocket_stream::{StreamKind, upgrade_if_requested};

pub(in crate::api) type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// Opens a WebSocket to a path of `app`; an empty `protocol` requests no subprotocol. Returns `None` if it is rejected.
pub(in crate::api) async fn connect(app: Router, path: &str, protocol: &str) -> Option<Socket> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut request = format!("ws://{address}{path}")
        .into_client_request()
        .unwrap();
    if !protocol.is_empty() {
        let protocol = protocol.parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
    }
    let stream = TcpStream::connect(address).await.unwrap();
    let connected = tokio_tungstenite::client_async(request, stream).await;
    connected.ok().map(|(socket, _)| socket)
}

/// Returns all data messages until the server closes the connection.
pub(in crate::api) async fn receive_all(socket: &mut Socket) -> Vec<Message> {
    let messages = socket.filter_map(async |message| message.ok());
    let messages: Vec<_> = messages.collect().await;
    let is_data = |message: &Message| matches!(message, Message::Binary(_) | Message::Text(_));
    messages.into_iter().filter(is_data).collect()
}

#[tokio::test]
async fn watch_sends_each_event_as_a_message() {
    let api = api();
    send(&api, "POST", CONFIG_MAPS, config_map("x")).await;
    let path = format!("{CONFIG_MAPS}?watch=true&resourceVersion=0");
    let mut socket = connect(api.router(), &path, "").await.unwrap();
    let mut next = async || {
        let message = socket.next().await.unwrap().unwrap();
        let Message::Text(text) = message else {
            panic!("{message}")
        };
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let event = next().await;
    assert_eq!(
        (&event["type"], &event["object"]["metadata"]["name"]),
        (&json!("ADDED"), &json!("x"))
    );
    send(&api, "DELETE", &format!("{CONFIG_MAPS}/x"), Value::Null).await;
    assert_eq!(next().await["type"], "DELETED");
}

#[tokio::test]
async fn rejected_watch_is_not_upgraded() {
    let path = format!("{CONFIG_MAPS}?watch=true&fieldSelector=spec.none%3Dx");
    assert!(connect(api().router(), &path, "").await.is_none());
}

/// Returns the messages of a log of two lines, with this subprotocol.
async fn log_messages(protocol: &str) -> Vec<Message> {
    let app = Router::new().fallback(|request: axum::extract::Request| async {
        let body = futures::stream::iter(["one\n", "two\n"].map(Ok::<_, std::io::Error>));
        let response = axum::response::Response::new(axum::body::Body::from_stream(body));
        upgrade_if_requested(request.into_parts().0, response, StreamKind::Log).await
    });
    receive_all(&mut connect(app, "/", protocol).await.unwrap()).await
}

#[tokio::test]
async fn log_is_sent_as_binary_or_base64_messages() {
    let binary = ["one\n", "two\n"].map(|text| Message::Binary(Bytes::from(text)));
    assert_eq!(log_messages("").await, binary);
    assert_eq!(log_messages("binary.k8s.io").await, binary);
    let base64 = ["b25lCg==", "dHdvCg=="].map(|text| Message::Text(text.into()));
    assert_eq!(log_messages("base64.binary.k8s.io").await, base64);
}
