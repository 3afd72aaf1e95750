use std::io::Cursor;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use futures::FutureExt as _;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::*;
use crate::api::tests::websocket::{connect, receive_all};

/// Returns the session of a command that writes `out` and exits with `code`.
fn exec_session(code: i32) -> ExecSession {
    ExecSession {
        stdin: None,
        stdout: Box::new(Cursor::new("out")),
        stderr: None,
        resize: None,
        exit: std::future::ready(Ok(code)).boxed(),
    }
}

/// Returns the messages that a client of this subprotocol receives from a command that exits with `code`.
async fn messages(protocol: &str, code: i32) -> Vec<Message> {
    let app = Router::new().fallback(any(move |request: axum::extract::Request| async move {
        let start: StartSession = Box::pin(async move { Ok(exec_session(code)) });
        let query = Query::parse("stdout=true");
        let api = crate::api::tests::api();
        let response = super::connect(&api, &query, request.into_parts().0, start).await;
        response.unwrap_or_else(StatusError::into_response)
    }));
    receive_all(&mut connect(app, "/", protocol).await.unwrap()).await
}

fn bytes(channel: u8, text: &str) -> Message {
    let mut message = vec![channel];
    message.extend(text.as_bytes());
    Message::Binary(Bytes::from(message))
}

#[tokio::test]
async fn exit_is_reported_as_status_from_v4_on_and_as_text_of_failures_before() {
    let out = || bytes(1, "out");
    let success = r#"{"metadata":{},"status":"Success"}"#;
    for protocol in ["v5.channel.k8s.io", "v4.channel.k8s.io"] {
        assert_eq!(messages(protocol, 0).await, [out(), bytes(3, success)]);
        let Some(Message::Binary(failure)) = messages(protocol, 7).await.pop() else {
            panic!("the failure is not reported")
        };
        let status: serde_json::Value = serde_json::from_slice(&failure[1..]).unwrap();
        assert_eq!(status["details"]["causes"][0]["message"], "7");
    }
    let text = "command terminated with non-zero exit code: exit status 7";
    for protocol in ["channel.k8s.io", ""] {
        assert_eq!(messages(protocol, 0).await, [out()]);
        assert_eq!(messages(protocol, 7).await, [out(), bytes(3, text)]);
    }
}

#[tokio::test]
async fn base64_protocols_send_text_messages() {
    let out = Message::Text("1b3V0".into());
    let success = Message::Text("3eyJtZXRhZGF0YSI6e30sInN0YXR1cyI6IlN1Y2Nlc3MifQ==".into());
    assert_eq!(
        messages("base64.channel.k8s.io", 0).await,
        std::slice::from_ref(&out)
    );
    assert_eq!(
        messages("v4.base64.channel.k8s.io", 0).await,
        [out, success]
    );
}
