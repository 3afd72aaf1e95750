//! A WebSocket's client, and what goes on over one.

use axum::Router;
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::{MAPS, api, map, send};
use crate::api::socket::{Pieces, answer};

pub(in crate::api) type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// A WebSocket to a path of `app`, by a subprotocol or none; none where it is refused.
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

/// Messages until the other side closes.
pub(in crate::api) async fn all(socket: &mut Socket) -> Vec<Message> {
    let messages = socket.filter_map(async |message| message.ok());
    let messages: Vec<_> = messages.collect().await;
    let is_said = |message: &Message| matches!(message, Message::Binary(_) | Message::Text(_));
    messages.into_iter().filter(is_said).collect()
}

#[tokio::test]
async fn a_watch_tells_of_each_change_in_a_message() {
    let api = api();
    send(&api, "POST", MAPS, map("x")).await;
    let path = format!("{MAPS}?watch=true&resourceVersion=0");
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
    send(&api, "DELETE", &format!("{MAPS}/x"), Value::Null).await;
    assert_eq!(next().await["type"], "DELETED");
}

#[tokio::test]
async fn a_request_that_is_refused_makes_no_socket() {
    let path = format!("{MAPS}?watch=true&fieldSelector=spec.none%3Dx");
    assert!(connect(api().router(), &path, "").await.is_none());
}

/// Two pieces of a log, by a subprotocol.
async fn pieces(protocol: &str) -> Vec<Message> {
    let app = Router::new().fallback(|request: axum::extract::Request| async {
        let body = futures::stream::iter(["one\n", "two\n"].map(Ok::<_, std::io::Error>));
        let response = axum::response::Response::new(axum::body::Body::from_stream(body));
        answer(request.into_parts().0, response, Pieces::OfLog).await
    });
    all(&mut connect(app, "/", protocol).await.unwrap()).await
}

#[tokio::test]
async fn a_log_comes_in_bytes_or_in_text() {
    let bytes = ["one\n", "two\n"].map(|text| Message::Binary(Bytes::from(text)));
    assert_eq!(pieces("").await, bytes);
    assert_eq!(pieces("binary.k8s.io").await, bytes);
    let text = ["b25lCg==", "dHdvCg=="].map(|text| Message::Text(text.into()));
    assert_eq!(pieces("base64.binary.k8s.io").await, text);
}
