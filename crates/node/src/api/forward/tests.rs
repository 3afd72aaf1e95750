use std::net::SocketAddr;

use flate2::{Compress, Compression, FlushCompress};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpListener;

use super::spdy::Frame;
use super::*;

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

/// A client of a session.
struct Client {
    connection: DuplexStream,
    compress: Compress,
}

impl Client {
    fn of(pod: Pod) -> Self {
        let (connection, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(session::serve(theirs, pod));
        Self {
            connection,
            compress: Compress::new(Compression::default(), true),
        }
    }

    async fn open(&mut self, stream: u32, headers: &[(&str, &str)]) {
        let number = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
        let mut text = number(headers.len()).to_vec();
        for word in headers.iter().flat_map(|(name, value)| [name, value]) {
            text.extend_from_slice(&number(word.len()));
            text.extend_from_slice(word.as_bytes());
        }
        let mut block = Vec::with_capacity(1024);
        let all = FlushCompress::Sync;
        self.compress.compress_vec(&text, &mut block, all).unwrap();
        let mut frame = b"\x80\x03\0\x01\0".to_vec();
        frame.extend_from_slice(&number(10 + block.len())[1..]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(&[0; 6]);
        frame.extend_from_slice(&block);
        self.send(&frame).await;
    }

    /// Both streams of one connection.
    async fn connect(&mut self, errors: u32, request: &str) {
        for (stream, kind) in [(errors, "error"), (errors + 2, "data")] {
            let named = [("streamtype", kind), ("port", "80"), ("requestid", request)];
            self.open(stream, &named).await;
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.connection.write_all(bytes).await.unwrap();
    }

    async fn say(&mut self, stream: u32, last: bool, text: &str) {
        let frame = spdy::data(stream, last, text.as_bytes());
        self.send(&frame).await;
    }

    async fn next(&mut self) -> Option<(Frame, String)> {
        let frame = spdy::read(&mut self.connection).await.unwrap()?;
        let mut text = String::new();
        if let Frame::Data { length, .. } = frame {
            let mut part = (&mut self.connection).take(length as u64);
            part.read_to_string(&mut text).await.unwrap();
        }
        Some((frame, text))
    }

    /// What is said on a stream until it ends, whatever comes between.
    async fn hear(&mut self, wanted: u32) -> String {
        let mut heard = String::new();
        loop {
            let (frame, text) = self
                .next()
                .await
                .expect("the stream ends before the session");
            if let Frame::Data { stream, last, .. } = frame
                && stream == wanted
            {
                heard.push_str(&text);
                if last {
                    return heard;
                }
            }
        }
    }

    async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let (frame, _) = self.next().await.expect("it comes before the end");
            if wanted(&frame) {
                return frame;
            }
        }
    }
}

#[tokio::test]
async fn what_is_said_to_a_port_is_answered_by_it_after_the_client_has_said_all() {
    let mut client = Client::of(pod(echo().await));
    client.connect(1, "0").await;
    client.say(3, false, "one, ").await;
    client.say(3, true, "two").await;
    assert_eq!(client.hear(3).await, "one, two.");
    assert_eq!(client.hear(1).await, "", "no error");
}

#[tokio::test]
async fn several_connections_are_carried_side_by_side() {
    let mut client = Client::of(pod(echo().await));
    client.connect(1, "0").await;
    client.connect(5, "1").await;
    client.say(3, false, "first").await;
    client.say(7, true, "second").await;
    assert_eq!(client.hear(7).await, "second.");
    client.say(3, true, "").await;
    assert_eq!(client.hear(3).await, "first.");
}

#[tokio::test]
async fn more_than_fits_into_a_chunk_arrives_whole() {
    let mut client = Client::of(pod(echo().await));
    client.connect(1, "0").await;
    let text = "0123456789abcdef".repeat(10 * 1024);
    client.say(3, true, &text).await;
    assert_eq!(client.hear(3).await, text + ".");
}

#[tokio::test]
async fn a_port_that_nobody_listens_at_is_told_on_the_stream_for_errors() {
    let mut client = Client::of(pod(nobody()));
    client.connect(1, "0").await;
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
    let mut client = Client::of(pod(listener.local_addr().unwrap()));
    client.connect(1, "0").await;
    let (mut held, _) = listener.accept().await.unwrap();
    client
        .send(&spdy::reset(3, spdy::Refusal::ProtocolError))
        .await;
    assert_eq!(client.hear(1).await, "");
    assert_eq!(held.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_pod_that_has_said_all_ends_a_connection_that_the_client_keeps_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = Client::of(pod(listener.local_addr().unwrap()));
    client.connect(1, "0").await;
    drop(listener.accept().await.unwrap());
    assert_eq!(client.hear(3).await, "");
    assert_eq!(client.hear(1).await, "");
}

#[tokio::test]
async fn a_session_that_ends_takes_its_connections_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = Client::of(pod(listener.local_addr().unwrap()));
    client.connect(1, "0").await;
    let (mut held, _) = listener.accept().await.unwrap();
    drop(client);
    assert_eq!(held.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_ping_comes_back() {
    let mut client = Client::of(pod(nobody()));
    client.send(&spdy::ping(9)).await;
    assert_eq!(client.next().await.unwrap().0, Frame::Ping { id: 9 });
}

#[tokio::test]
async fn streams_that_say_too_little_are_refused_and_the_session_goes_on() {
    let mut client = Client::of(pod(echo().await));
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
    client.connect(101, "0").await;
    client.say(103, true, "still here").await;
    assert_eq!(client.hear(103).await, "still here.");
}

#[tokio::test]
async fn more_streams_than_there_is_room_for_are_refused() {
    let mut client = Client::of(pod(nobody()));
    let alone = |stream: u32| stream.to_string();
    for stream in (1..=1025).step_by(2) {
        let request = alone(stream);
        let headers = [
            ("streamtype", "error"),
            ("port", "80"),
            ("requestid", request.as_str()),
        ];
        client.open(stream, &headers).await;
    }
    let refused = client
        .until(|frame| matches!(frame, Frame::Reset { .. }))
        .await;
    assert_eq!(refused, Frame::Reset { stream: 1025 });
}

#[tokio::test]
async fn connections_that_have_ended_make_room() {
    let mut client = Client::of(pod(nobody()));
    for at in 0..600 {
        let errors = 4 * at + 1;
        client.connect(errors, &at.to_string()).await;
        assert!(client.hear(errors).await.contains("refused"), "{at}");
        assert_eq!(client.hear(errors + 2).await, "");
    }
}

#[tokio::test]
async fn what_is_against_the_protocol_ends_the_session() {
    for bytes in [
        // A stream of the server's numbers, headers that are none, another version.
        b"\x80\x03\0\x01\0\0\0\x0a\0\0\0\x02\0\0\0\0\0\0".as_slice(),
        b"\x80\x03\0\x01\0\0\0\x0d\0\0\0\x01\0\0\0\0\0\0zip",
        b"\x80\x02\0\x06\0\0\0\x04\0\0\0\x01",
    ] {
        let mut client = Client::of(pod(nobody()));
        client.send(bytes).await;
        assert_eq!(client.next().await.unwrap().0, Frame::GoAway, "{bytes:?}");
        assert!(client.next().await.is_none(), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_number_that_was_used_is_not_used_again() {
    let mut client = Client::of(pod(echo().await));
    client.connect(3, "0").await;
    client.connect(1, "1").await;
    client.until(|frame| *frame == Frame::GoAway).await;
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
