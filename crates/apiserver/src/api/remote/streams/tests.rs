use std::io;

use container_runtime::RuntimeError;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, DuplexStream};
use tokio::sync::oneshot;

use super::*;
use crate::api::spdy::client::Client;
use crate::api::spdy::frames::Frame;

/// The command's side of a session.
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

/// A client of a command that is asked for with `query`, whose streams it has still to open.
fn client(query: &str, session: ExecSession) -> Client {
    let (client, theirs) = Client::new();
    let wanted = wanted(&Query::parse(query));
    tokio::spawn(async move { serve(theirs, &wanted, Box::pin(async { Ok(session) })).await });
    client
}

async fn open(client: &mut Client, kinds: &[&str]) {
    for (stream, kind) in (1..).step_by(2).zip(kinds) {
        client.open(stream, &[("streamtype", kind)]).await;
    }
}

fn status(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_streams_wanted_are_those_asked_for_and_one_for_errors() {
    use Kind::{Error, Resize, Stderr, Stdin, Stdout};
    for (query, kinds) in [
        ("", vec![Error]),
        ("stdout=true&stderr=1", vec![Error, Stdout, Stderr]),
        ("stdin=true&stdout=false", vec![Error, Stdin]),
        (
            "stdin=true&stdout=true&stderr=true&tty=true",
            vec![Error, Stdin, Stdout, Resize],
        ),
    ] {
        assert_eq!(wanted(&Query::parse(query)), kinds, "{query}");
    }
}

#[tokio::test]
async fn what_a_command_prints_arrives_and_then_how_it_ended() {
    let (mut command, session) = session();
    let mut client = client("stdout=1&stderr=1", session);
    open(&mut client, &["error", "stdout", "stderr"]).await;
    command.stdout.write_all(b"out").await.unwrap();
    command.stderr.write_all(b"err").await.unwrap();
    drop((command.stdout, command.stderr));
    command.exit.send(0).unwrap();
    // Which of the two comes first is chance.
    let mut heard = std::collections::BTreeMap::<u32, String>::new();
    while let Some((frame, text)) = client.next().await {
        if let Frame::Data { stream, .. } = frame {
            heard.entry(stream).or_default().push_str(&text);
        }
    }
    assert_eq!((heard[&3].as_str(), heard[&5].as_str()), ("out", "err"));
    assert_eq!(status(&heard[&1])["status"], "Success");
}

#[tokio::test]
async fn a_commands_exit_code_is_told() {
    let (command, session) = session();
    let mut client = client("stdout=1", session);
    open(&mut client, &["error", "stdout"]).await;
    drop((command.stdout, command.stderr));
    command.exit.send(7).unwrap();
    let told = status(&client.hear(1).await);
    assert_eq!(told["reason"], "NonZeroExitCode");
    let cause = json!([{"reason": "ExitCode", "message": "7"}]);
    assert_eq!(told["details"]["causes"], cause);
    assert!(client.has_ended().await);
}

#[tokio::test]
async fn why_a_command_cannot_run_is_told() {
    let (mut client, theirs) = Client::new();
    tokio::spawn(async move {
        let refused = async { Err("no such container".to_owned()) };
        serve(theirs, &[Kind::Error], Box::pin(refused)).await;
    });
    open(&mut client, &["error"]).await;
    let told = status(&client.hear(1).await);
    assert_eq!(told["reason"], "InternalError");
    assert_eq!(
        told["message"],
        "Internal error occurred: no such container"
    );
}

#[tokio::test]
async fn what_a_client_says_reaches_the_command_and_ends_with_it() {
    let (mut command, session) = session();
    let mut client = client("stdin=1&stdout=1", session);
    open(&mut client, &["error", "stdin", "stdout"]).await;
    client.say(3, false, "one, ").await;
    client.say(3, true, "two").await;
    let mut heard = String::new();
    command.stdin.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "one, two");
    command.stdout.write_all(b"thanks").await.unwrap();
    drop((command.stdout, command.stderr));
    command.exit.send(0).unwrap();
    assert_eq!(client.hear(5).await, "thanks");
}

#[tokio::test]
async fn a_command_that_has_ended_waits_for_no_more_input() {
    let (command, session) = session();
    let mut client = client("stdin=1", session);
    open(&mut client, &["error", "stdin"]).await;
    drop((command.stdin, command.stdout, command.stderr));
    command.exit.send(0).unwrap();
    assert_eq!(status(&client.hear(1).await)["status"], "Success");
}

#[tokio::test]
async fn what_nobody_asked_for_is_read_and_dropped() {
    let (mut command, session) = session();
    let mut client = client("", session);
    open(&mut client, &["error"]).await;
    // More than a pipe holds.
    command.stdout.write_all(&[b'x'; 1024]).await.unwrap();
    command.stderr.write_all(&[b'x'; 1024]).await.unwrap();
    drop((command.stdout, command.stderr));
    command.exit.send(0).unwrap();
    assert_eq!(status(&client.hear(1).await)["status"], "Success");
}

#[tokio::test]
async fn a_command_begins_when_all_of_its_streams_are_there() {
    let (client_side, theirs) = Client::new();
    let mut client = client_side;
    let (begun, mut began) = oneshot::channel();
    tokio::spawn(async move {
        let start = async {
            begun.send(()).unwrap();
            Err("no such container".to_owned())
        };
        serve(theirs, &[Kind::Error, Kind::Stdout], Box::pin(start)).await;
    });
    client.open(1, &[("streamtype", "error")]).await;
    client.open(3, &[("streamtype", "else")]).await;
    let refused = Frame::Reset { stream: 3 };
    client.until(|frame| *frame == refused).await;
    assert!(began.try_recv().is_err());
    client.open(5, &[("streamtype", "stdout")]).await;
    began.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_opens_too_few_streams_is_sent_away() {
    let (_command, session) = session();
    let mut client = client("stdout=1", session);
    open(&mut client, &["error"]).await;
    while client.next().await.is_some() {}
}

#[tokio::test]
async fn sizes_of_a_terminal_are_read_however_they_are_cut() {
    let (mut command, session) = session();
    let mut client = client("tty=1&stdout=1", session);
    open(&mut client, &["error", "stdout", "resize"]).await;
    for text in [
        "{\"Width\":80,\"Height\":24}\n",
        "{\"Width\":0,\"Height\":0}\n",
        "{\"Width\":100,",
        "\"Height\":50}\n",
    ] {
        client.say(5, false, text).await;
    }
    assert_eq!(command.sizes.recv().await, Some((80, 24)));
    assert_eq!(command.sizes.recv().await, Some((100, 50)));
    client.say(5, false, "no size at all").await;
    assert_eq!(command.sizes.recv().await, None);
}

#[tokio::test]
async fn a_client_that_goes_ends_the_command() {
    let (mut command, session) = session();
    let mut client = client("stdout=1", session);
    open(&mut client, &["error", "stdout"]).await;
    command.stdout.write_all(b"out").await.unwrap();
    client
        .until(|frame| matches!(frame, Frame::Data { .. }))
        .await;
    drop(client);
    command.exit.closed().await;
    let broken = command.stdout.write_all(b"out").await.unwrap_err();
    assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);
}
