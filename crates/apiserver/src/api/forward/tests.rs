use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::api::spdy::client::Client;
use crate::api::spdy::frames::{self, Frame, Refusal};

mod web_socket;

/// A pod whose every port is `address`.
fn pod(address: SocketAddr) -> Pod {
    Pod {
        name: "web".to_owned(),
        uid: "1234".to_owned(),
        dial: Arc::new(move |_| Box::pin(TcpStream::connect(address))),
    }
}

/// An address at which nobody listens, in a net of which nobody is.
fn nobody() -> SocketAddr {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

/// Answers each connection with all that it was sent, once that has ended, and with a full stop.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut said = Vec::new();
                stream.read_to_end(&mut said).await.unwrap();
                said.push(b'.');
                stream.write_all(&said).await.unwrap();
            });
        }
    });
    address
}

/// A client that forwards ports of `pod`.
fn client(pod: Pod) -> Client {
    let (client, theirs) = Client::new();
    tokio::spawn(forward_over(theirs, pod));
    client
}

/// Opens both streams of one connection.
async fn connect(client: &mut Client, errors: u32, request: &str) {
    for (stream, kind) in [(errors, "error"), (errors + 2, "data")] {
        let named = [("streamtype", kind), ("port", "80"), ("requestid", request)];
        client.open(stream, &named).await;
    }
}

#[tokio::test]
async fn what_is_said_to_a_port_is_answered_by_it_after_the_client_has_said_all() {
    let mut client = client(pod(echo().await));
    connect(&mut client, 1, "0").await;
    client.say(3, false, "one, ").await;
    client.say(3, true, "two").await;
    assert_eq!(client.hear(3).await, "one, two.");
    assert_eq!(client.hear(1).await, "", "no error");
}

#[tokio::test]
async fn several_connections_are_carried_side_by_side() {
    let mut client = client(pod(echo().await));
    connect(&mut client, 1, "0").await;
    connect(&mut client, 5, "1").await;
    client.say(3, false, "first").await;
    client.say(7, true, "second").await;
    assert_eq!(client.hear(7).await, "second.");
    client.say(3, true, "").await;
    assert_eq!(client.hear(3).await, "first.");
}

#[tokio::test]
async fn more_than_fits_into_a_chunk_arrives_whole() {
    let mut client = client(pod(echo().await));
    connect(&mut client, 1, "0").await;
    let text = "0123456789abcdef".repeat(10 * 1024);
    client.say(3, true, &text).await;
    assert_eq!(client.hear(3).await, text + ".");
}

#[tokio::test]
async fn a_port_that_nobody_listens_at_is_told_on_the_stream_for_errors() {
    let mut client = client(pod(nobody()));
    connect(&mut client, 1, "0").await;
    let error = client.hear(1).await;
    let words = "error forwarding port 80 to pod web, uid 1234: ";
    assert!(
        error.starts_with(words) && error.contains("refused"),
        "{error}"
    );
    assert_eq!(client.hear(3).await, "");
}

#[tokio::test]
async fn a_stream_that_is_reset_ends_without_its_pod() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = client(pod(listener.local_addr().unwrap()));
    connect(&mut client, 1, "0").await;
    let (mut held, _) = listener.accept().await.unwrap();
    client.send(&frames::reset(3, Refusal::ProtocolError)).await;
    assert_eq!(client.hear(1).await, "");
    assert_eq!(held.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_pod_that_has_said_all_ends_a_connection_that_the_client_keeps_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = client(pod(listener.local_addr().unwrap()));
    connect(&mut client, 1, "0").await;
    drop(listener.accept().await.unwrap());
    assert_eq!(client.hear(3).await, "");
    assert_eq!(client.hear(1).await, "");
}

#[tokio::test]
async fn a_session_that_ends_takes_its_connections_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = client(pod(listener.local_addr().unwrap()));
    connect(&mut client, 1, "0").await;
    let (mut held, _) = listener.accept().await.unwrap();
    drop(client);
    assert_eq!(held.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn streams_that_say_too_little_are_refused_and_the_session_goes_on() {
    let mut client = client(pod(echo().await));
    let (port, request) = (("port", "80"), ("requestid", "0"));
    for (at, headers) in (0..).zip([
        vec![],
        vec![("streamtype", "data"), port],
        vec![("streamtype", "data"), request],
        vec![("streamtype", "else"), port, request],
        vec![("streamtype", "data"), ("port", "0"), request],
        vec![("streamtype", "data"), ("port", "65536"), request],
    ]) {
        let stream = 2 * at + 1;
        client.open(stream, &headers).await;
        let refused = Frame::Reset { stream };
        assert_eq!(client.next().await.unwrap().0, refused, "{headers:?}");
    }
    connect(&mut client, 101, "0").await;
    client.say(103, true, "still here").await;
    assert_eq!(client.hear(103).await, "still here.");
}

#[tokio::test]
async fn connections_that_have_ended_make_room() {
    let mut client = client(pod(nobody()));
    for at in 0..600 {
        let errors = 4 * at + 1;
        connect(&mut client, errors, &at.to_string()).await;
        assert!(client.hear(errors).await.contains("refused"), "{at}");
        assert_eq!(client.hear(errors + 2).await, "");
    }
}

#[test]
fn ports_are_told_once_each_or_in_lists() {
    for (query, ports) in [
        ("ports=80", Some(vec![80])),
        ("ports=80&ports=443", Some(vec![80, 443])),
        ("ports=80%2C443&x=1", Some(vec![80, 443])),
        ("ports=65535", Some(vec![65535])),
        ("", None),
        ("ports=", None),
        ("ports=0", None),
        ("ports=65536", None),
        ("ports=http", None),
    ] {
        assert_eq!(super::ports(query).ok(), ports, "{query}");
    }
    let many = |count: usize| vec!["ports=1"; count].join("&");
    assert!(super::ports(&many(128)).is_ok());
    assert!(super::ports(&many(129)).is_err());
}
