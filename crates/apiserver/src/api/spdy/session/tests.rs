use super::super::client::Client;
use super::*;

/// Hands out the streams of which a client says anything at all.
struct HandOut(mpsc::UnboundedSender<Stream>);

impl Streams for HandOut {
    type Purpose = ();

    fn purpose(&self, headers: &Headers) -> Option<()> {
        headers.get("streamtype").map(drop)
    }

    fn open(&mut self, (): (), stream: Stream) {
        self.0.send(stream).unwrap();
    }
}

/// A client, the streams that it opens, and what ends its connection from this side.
fn client() -> (Client, mpsc::UnboundedReceiver<Stream>, oneshot::Sender<()>) {
    let (client, theirs) = Client::new();
    let (sender, streams) = mpsc::unbounded_channel();
    let (end, ended) = oneshot::channel();
    let over = async move {
        // A sender that is dropped has said nothing.
        if ended.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::spawn(serve(theirs, HandOut(sender), over));
    (client, streams, end)
}

const NAMED: &[(&str, &str)] = &[("streamtype", "any")];

#[tokio::test]
async fn a_stream_hears_all_its_client_says_and_then_its_end() {
    let (mut client, mut streams, _end) = client();
    client.open(1, NAMED).await;
    client.say(1, false, "one").await;
    client.say(1, true, "two").await;
    client.say(1, false, "too late").await;
    let mut stream = streams.recv().await.unwrap();
    let mut heard = Vec::new();
    while let Some(bytes) = stream.input.recv().await {
        heard.extend_from_slice(&bytes);
    }
    assert_eq!(heard, b"onetwo");
}

#[tokio::test]
async fn a_stream_that_is_reset_says_so_and_hears_nothing_more() {
    let (mut client, mut streams, _end) = client();
    client.open(1, NAMED).await;
    let mut stream = streams.recv().await.unwrap();
    client.send(&frames::reset(1, Refusal::ProtocolError)).await;
    assert_eq!(stream.reset.await, Ok(()));
    assert_eq!(stream.input.recv().await, None);
}

#[tokio::test]
async fn what_nobody_listens_to_holds_nothing_up() {
    let (mut client, mut streams, _end) = client();
    client.open(1, NAMED).await;
    drop(streams.recv().await.unwrap());
    for _ in 0..100 {
        client.say(1, false, "nobody hears this").await;
    }
    // Nor what is said on a stream that never was.
    client.say(77, true, "or this").await;
    client.open(3, NAMED).await;
    client.say(3, true, "but this").await;
    let heard = streams.recv().await.unwrap().input.recv().await;
    assert_eq!(heard.unwrap(), "but this");
}

#[tokio::test]
async fn what_was_said_before_the_end_is_sent_before_it() {
    let (mut client, mut streams, end) = client();
    client.open(1, NAMED).await;
    let stream = streams.recv().await.unwrap();
    stream.output.say(b"all of ").await.unwrap();
    stream.output.end(b"this").await.unwrap();
    drop(stream);
    end.send(()).unwrap();
    assert_eq!(client.hear(1).await, "all of this");
    assert!(client.has_ended().await);
}

#[tokio::test]
async fn the_end_waits_for_nobody_who_has_gone() {
    let (mut client, theirs) = Client::new();
    let (sender, mut streams) = mpsc::unbounded_channel();
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(theirs, HandOut(sender), async move {
        let _ = ended.await;
    }));
    client.open(1, NAMED).await;
    let stream = streams.recv().await.unwrap();
    stream.output.say(&[0; 1 << 20]).await.unwrap();
    drop((stream, client));
    end.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_ping_comes_back() {
    let (mut client, _streams, _end) = client();
    client.send(&frames::ping(9)).await;
    assert_eq!(client.next().await.unwrap().0, Frame::Ping { id: 9 });
}

#[tokio::test]
async fn streams_for_nothing_are_refused_and_the_connection_goes_on() {
    let (mut client, mut streams, _end) = client();
    client.open(1, &[]).await;
    assert_eq!(client.next().await.unwrap().0, Frame::Reset { stream: 1 });
    client.open(3, NAMED).await;
    assert!(streams.recv().await.is_some());
}

#[tokio::test]
async fn more_streams_than_there_is_room_for_are_refused_until_some_are_over() {
    let (mut client, mut streams, _end) = client();
    for stream in (1..=1025).step_by(2) {
        client.open(stream, NAMED).await;
    }
    let is_reset = |frame: &Frame| matches!(frame, Frame::Reset { .. });
    let refused = client.until(is_reset).await;
    assert_eq!(refused, Frame::Reset { stream: 1025 });
    drop(streams.recv().await.unwrap());
    client.open(1027, NAMED).await;
    client.open(1029, NAMED).await;
    let refused = client.until(is_reset).await;
    assert_eq!(refused, Frame::Reset { stream: 1029 });
}

#[tokio::test]
async fn what_is_against_the_protocol_ends_the_connection() {
    for bytes in [
        // A stream of the server's numbers, headers that are none, another version.
        b"\x80\x03\0\x01\0\0\0\x0a\0\0\0\x02\0\0\0\0\0\0".as_slice(),
        b"\x80\x03\0\x01\0\0\0\x0d\0\0\0\x01\0\0\0\0\0\0zip",
        b"\x80\x02\0\x06\0\0\0\x04\0\0\0\x01",
    ] {
        let (mut client, _streams, _end) = client();
        client.send(bytes).await;
        assert_eq!(client.next().await.unwrap().0, Frame::GoAway, "{bytes:?}");
        assert!(client.has_ended().await, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_number_that_was_used_is_not_used_again() {
    let (mut client, _streams, _end) = client();
    client.open(3, NAMED).await;
    client.open(1, NAMED).await;
    client.until(|frame| *frame == Frame::GoAway).await;
    assert!(client.has_ended().await);
}
