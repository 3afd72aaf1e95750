use std::io;

use container_runtime::RuntimeError;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::sync::oneshot;

use super::*;
use crate::api::streaming::spdy::client::SpdyClient;
use crate::api::streaming::spdy::frames::Frame;

/// Command's side of a session.
struct Command {
    stdin: DuplexStream,
    stdout: DuplexStream,
    stderr: DuplexStream,
    sizes: mpsc::Receiver<(u16, u16)>,
    exit: oneshot::Sender<i32>,
}

fn session() -> (Command, ExecSession) {
    let pipe = || tokio::io::duplex(64);
    let (stdin, stdout, stderr) = (pipe(), pipe(), pipe());
    let (resize, sizes) = mpsc::channel(8);
    let (exit, exited) = oneshot::channel();
    let command = Command {
        stdin: stdin.0,
        stdout: stdout.0,
        stderr: stderr.0,
        sizes,
        exit,
    };
    let session = ExecSession {
        stdin: Some(Box::new(stdin.1)),
        stdout: Box::new(stdout.1),
        stderr: Some(Box::new(stderr.1)),
        resize: Some(resize),
        exit: Box::pin(async { exited.await.map_err(|_| RuntimeError::NotFound("c".into())) }),
    };
    (command, session)
}

/// Returns the client of a session with this query. It has not opened its streams yet.
fn client(query: &str, session: ExecSession) -> SpdyClient {
    let (client, server_side) = SpdyClient::new();
    let types = requested_streams(&Query::parse(query));
    tokio::spawn(async move { serve(server_side, &types, Box::pin(async { Ok(session) })).await });
    client
}

async fn open(client: &mut SpdyClient, stream_types: &[&str]) {
    for (stream, stream_type) in (1..).step_by(2).zip(stream_types) {
        client.open(stream, &[("streamtype", stream_type)]).await;
    }
}

fn status(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn requested_streams_follow_the_query_and_include_the_error_stream() {
    use StreamType::{Error, Resize, Stderr, Stdin, Stdout};
    for (query, expected) in [
        ("", vec![Error]),
        ("stdout=true&stderr=1", vec![Error, Stdout, Stderr]),
        ("stdin=true&stdout=false", vec![Error, Stdin]),
        (
            "stdin=true&stdout=true&stderr=true&tty=true",
            vec![Error, Stdin, Stdout, Resize],
        ),
    ] {
        let requested = requested_streams(&Query::parse(query));
        assert_eq!(requested, expected, "{query}");
    }
}

#[tokio::test]
async fn output_is_followed_by_the_exit_status() {
    let (mut command, session) = session();
    let mut client = client("stdout=1&stderr=1", session);
    open(&mut client, &["error", "stdout", "stderr"]).await;
    command.stdout.write_all(b"out").await.unwrap();
    command.stderr.write_all(b"err").await.unwrap();
    drop((command.stdout, command.stderr));
    command.exit.send(0).unwrap();
    // The order of stdout and stderr is not defined.
    let mut received = std::collections::BTreeMap::<u32, String>::new();
    while let Some((frame, text)) = client.next().await {
        if let Frame::Data { stream, .. } = frame {
            received.entry(stream).or_default().push_str(&text);
        }
    }
    assert_eq!(
        (received[&3].as_str(), received[&5].as_str()),
        ("out", "err")
    );
    assert_eq!(status(&received[&1])["status"], "Success");
}

#[tokio::test]
async fn exit_code_is_reported() {
    let (command, session) = session();
    let mut client = client("stdout=1", session);
    open(&mut client, &["error", "stdout"]).await;
    drop((command.stdout, command.stderr));
    command.exit.send(7).unwrap();
    let status = status(&client.read_to_end(1).await);
    assert_eq!(status["reason"], "NonZeroExitCode");
    let cause = json!([{"reason": "ExitCode", "message": "7"}]);
    assert_eq!(status["details"]["causes"], cause);
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn start_error_is_reported() {
    let (mut client, server_side) = SpdyClient::new();
    tokio::spawn(async move {
        let failed = async { Err("no such container".to_owned()) };
        serve(server_side, &[StreamType::Error], Box::pin(failed)).await;
    });
    open(&mut client, &["error"]).await;
    let status = status(&client.read_to_end(1).await);
    assert_eq!(status["reason"], "InternalError");
    assert_eq!(
        status["message"],
        "Internal error occurred: no such container"
    );
}

#[tokio::test]
async fn client_input_reaches_stdin_and_closes_it() {
    let (mut command, session) = session();
    let mut client = client("stdin=1&stdout=1", session);
    open(&mut client, &["error", "stdin", "stdout"]).await;
    client.write(3, "one, ").await;
    client.finish(3, "two").await;
    let mut received = String::new();
    command.stdin.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, "one, two");
    command.stdout.write_all(b"out").await.unwrap();
    drop((command.stdout, command.stderr));
    command.exit.send(0).unwrap();
    assert_eq!(client.read_to_end(5).await, "out");
}

#[tokio::test]
async fn session_ends_with_the_command_while_stdin_is_open() {
    let (command, session) = session();
    let mut client = client("stdin=1", session);
    open(&mut client, &["error", "stdin"]).await;
    drop((command.stdin, command.stdout, command.stderr));
    command.exit.send(0).unwrap();
    assert_eq!(status(&client.read_to_end(1).await)["status"], "Success");
}

#[tokio::test]
async fn output_without_a_stream_is_discarded() {
    let (mut command, session) = session();
    let mut client = client("", session);
    open(&mut client, &["error"]).await;
    // More than the pipe's capacity.
    command.stdout.write_all(&[b'x'; 1024]).await.unwrap();
    command.stderr.write_all(&[b'x'; 1024]).await.unwrap();
    drop((command.stdout, command.stderr));
    command.exit.send(0).unwrap();
    assert_eq!(status(&client.read_to_end(1).await)["status"], "Success");
}

#[tokio::test]
async fn session_starts_when_all_streams_are_open() {
    let (mut client, server_side) = SpdyClient::new();
    let (start_sender, mut started) = oneshot::channel();
    tokio::spawn(async move {
        let start = async {
            start_sender.send(()).unwrap();
            Err("no such container".to_owned())
        };
        let types = [StreamType::Error, StreamType::Stdout];
        serve(server_side, &types, Box::pin(start)).await;
    });
    client.open(1, &[("streamtype", "error")]).await;
    client.open(3, &[("streamtype", "unknown")]).await;
    let reset = Frame::Reset { stream: 3 };
    client.wait_for(|frame| *frame == reset).await;
    assert!(started.try_recv().is_err());
    client.open(5, &[("streamtype", "stdout")]).await;
    started.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connection_is_closed_if_streams_are_missing_after_the_timeout() {
    let (_command, session) = session();
    let mut client = client("stdout=1", session);
    open(&mut client, &["error"]).await;
    while client.next().await.is_some() {}
}

#[tokio::test]
async fn terminal_size_is_parsed_across_frames() {
    let (mut command, session) = session();
    let mut client = client("tty=1&stdout=1", session);
    open(&mut client, &["error", "stdout", "resize"]).await;
    for text in [
        "{\"Width\":80,\"Height\":24}\n",
        "{\"Width\":0,\"Height\":0}\n",
        "{\"Width\":100,",
        "\"Height\":50}\n",
    ] {
        client.write(5, text).await;
    }
    assert_eq!(command.sizes.recv().await, Some((80, 24)));
    assert_eq!(command.sizes.recv().await, Some((100, 50)));
    client.write(5, "malformed").await;
    assert_eq!(command.sizes.recv().await, None);
}

#[tokio::test]
async fn disconnect_of_the_client_ends_the_command() {
    let (mut command, session) = session();
    let mut client = client("stdout=1", session);
    open(&mut client, &["error", "stdout"]).await;
    command.stdout.write_all(b"out").await.unwrap();
    client
        .wait_for(|frame| matches!(frame, Frame::Data { .. }))
        .await;
    drop(client);
    command.exit.closed().await;
    let error = command.stdout.write_all(b"out").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}
