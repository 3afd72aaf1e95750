use std::io::Cursor;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use futures::FutureExt as _;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::*;
use crate::api::tests::web_socket::{all, connect};

/// A command that prints and ends.
fn command(code: i32) -> ExecSession {
    ExecSession {
        stdin: None,
        stdout: Box::new(Cursor::new("out")),
        stderr: None,
        resize: None,
        exit: std::future::ready(Ok(code)).boxed(),
    }
}

/// What a client is told of it, by a subprotocol.
async fn told(protocol: &str, code: i32) -> Vec<Message> {
    let app = Router::new().fallback(any(move |request: axum::extract::Request| async move {
        let start: Start = Box::pin(async move { Ok(command(code)) });
        let query = Query::parse("stdout=true");
        let api = crate::api::tests::api();
        let answer = super::connect(&api, &query, request.into_parts().0, start).await;
        answer.unwrap_or_else(Failure::into_response)
    }));
    all(&mut connect(app, "/", protocol).await.unwrap()).await
}

fn bytes(channel: u8, text: &str) -> Message {
    let mut message = vec![channel];
    message.extend(text.as_bytes());
    Message::Binary(Bytes::from(message))
}

#[tokio::test]
async fn an_end_is_told_as_a_status_or_before_v4_in_words_and_a_good_one_not_at_all() {
    let out = || bytes(1, "out");
    let good = r#"{"metadata":{},"status":"Success"}"#;
    for protocol in ["v5.channel.k8s.io", "v4.channel.k8s.io"] {
        assert_eq!(told(protocol, 0).await, [out(), bytes(3, good)]);
        let Some(Message::Binary(bad)) = told(protocol, 7).await.pop() else {
            panic!("nothing is told")
        };
        let status: serde_json::Value = serde_json::from_slice(&bad[1..]).unwrap();
        assert_eq!(status["details"]["causes"][0]["message"], "7");
    }
    let words = "command terminated with non-zero exit code: exit status 7";
    for protocol in ["channel.k8s.io", ""] {
        assert_eq!(told(protocol, 0).await, [out()]);
        assert_eq!(told(protocol, 7).await, [out(), bytes(3, words)]);
    }
}

#[tokio::test]
async fn clients_without_bytes_are_told_in_text() {
    let out = Message::Text("1b3V0".into());
    let good = Message::Text("3eyJtZXRhZGF0YSI6e30sInN0YXR1cyI6IlN1Y2Nlc3MifQ==".into());
    assert_eq!(
        told("base64.channel.k8s.io", 0).await,
        std::slice::from_ref(&out)
    );
    assert_eq!(told("v4.base64.channel.k8s.io", 0).await, [out, good]);
}
