use super::super::client::SpdyClient;
use super::*;

/// Accepts streams with a type and sends them to the test.
struct TestHandler(mpsc::UnboundedSender<Stream>);

impl StreamHandler for TestHandler {
    type StreamRole = ();

    fn role(&self, headers: &Headers) -> Option<()> {
        headers.get("streamtype").map(drop)
    }

    fn open(&mut self, (): (), stream: Stream) {
        self.0.send(stream).unwrap();
    }
}

/// Returns a client, the streams that it opens, and a sender that finishes the session.
fn client() -> (
    SpdyClient,
    mpsc::UnboundedReceiver<Stream>,
    oneshot::Sender<()>,
) {
    let (client, server_side) = SpdyClient::new();
    let (sender, streams) = mpsc::unbounded_channel();
    let (finish, finish_receiver) = oneshot::channel();
    let finished = async move {
        // Dropping the sender does not finish the session.
        if finish_receiver.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::spawn(serve(server_side, TestHandler(sender), finished));
    (client, streams, finish)
}

const HEADERS: &[(&str, &str)] = &[("streamtype", "any")];

#[tokio::test]
async fn stream_receives_data_until_the_client_closes_it() {
    let (mut client, mut streams, _finish) = client();
    client.open(1, HEADERS).await;
    client.write(1, "one").await;
    client.finish(1, "two").await;
    client.write(1, "ignored").await;
    let mut stream = streams.recv().await.unwrap();
    let mut received = Vec::new();
    while let Some(bytes) = stream.input.recv().await {
        received.extend_from_slice(&bytes);
    }
    assert_eq!(received, b"onetwo");
}

#[tokio::test]
async fn reset_is_signalled_and_closes_the_input() {
    let (mut client, mut streams, _finish) = client();
    client.open(1, HEADERS).await;
    let mut stream = streams.recv().await.unwrap();
    let reset = frames::reset(1, ResetReason::ProtocolError);
    client.send(&reset).await;
    assert_eq!(stream.reset.await, Ok(()));
    assert_eq!(stream.input.recv().await, None);
}

#[tokio::test]
async fn data_on_a_dropped_or_unknown_stream_does_not_block_other_streams() {
    let (mut client, mut streams, _finish) = client();
    client.open(1, HEADERS).await;
    drop(streams.recv().await.unwrap());
    for _ in 0..100 {
        client.write(1, "dropped stream").await;
    }
    client.finish(77, "unknown stream").await;
    client.open(3, HEADERS).await;
    client.finish(3, "open stream").await;
    let received = streams.recv().await.unwrap().input.recv().await;
    assert_eq!(received.unwrap(), "open stream");
}

#[tokio::test]
async fn queued_data_is_sent_before_the_connection_closes() {
    let (mut client, mut streams, finish) = client();
    client.open(1, HEADERS).await;
    let stream = streams.recv().await.unwrap();
    stream.output.write(b"one, ").await.unwrap();
    stream.output.finish(b"two").await.unwrap();
    drop(stream);
    finish.send(()).unwrap();
    assert_eq!(client.read_to_end(1).await, "one, two");
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn finished_session_does_not_wait_for_a_disconnected_client() {
    let (mut client, server_side) = SpdyClient::new();
    let (sender, mut streams) = mpsc::unbounded_channel();
    let (finish, finish_receiver) = oneshot::channel::<()>();
    let session = tokio::spawn(serve(server_side, TestHandler(sender), async move {
        let _ = finish_receiver.await;
    }));
    client.open(1, HEADERS).await;
    let stream = streams.recv().await.unwrap();
    stream.output.write(&[0; 1 << 20]).await.unwrap();
    drop((stream, client));
    finish.send(()).unwrap();
    session.await.unwrap();
}

#[tokio::test]
async fn ping_is_sent_back() {
    let (mut client, _streams, _finish) = client();
    client.send(&frames::ping(9)).await;
    assert_eq!(client.next().await.unwrap().0, Frame::Ping { id: 9 });
}

#[tokio::test]
async fn stream_without_a_role_is_reset_and_the_connection_continues() {
    let (mut client, mut streams, _finish) = client();
    client.open(1, &[]).await;
    assert_eq!(client.next().await.unwrap().0, Frame::Reset { stream: 1 });
    client.open(3, HEADERS).await;
    assert!(streams.recv().await.is_some());
}

#[tokio::test]
async fn stream_over_the_limit_is_reset_until_another_is_closed() {
    let (mut client, mut streams, _finish) = client();
    for stream in (1..=1025).step_by(2) {
        client.open(stream, HEADERS).await;
    }
    let is_reset = |frame: &Frame| matches!(frame, Frame::Reset { .. });
    let reset = client.wait_for(is_reset).await;
    assert_eq!(reset, Frame::Reset { stream: 1025 });
    drop(streams.recv().await.unwrap());
    client.open(1027, HEADERS).await;
    client.open(1029, HEADERS).await;
    let reset = client.wait_for(is_reset).await;
    assert_eq!(reset, Frame::Reset { stream: 1029 });
}

#[tokio::test]
async fn protocol_error_closes_the_connection() {
    for bytes in [
        // An even stream number, an invalid header block, an unsupported version.
        b"\x80\x03\0\x01\0\0\0\x0a\0\0\0\x02\0\0\0\0\0\0".as_slice(),
        b"\x80\x03\0\x01\0\0\0\x0d\0\0\0\x01\0\0\0\0\0\0zip",
        b"\x80\x02\0\x06\0\0\0\x04\0\0\0\x01",
    ] {
        let (mut client, _streams, _finish) = client();
        client.send(bytes).await;
        assert_eq!(client.next().await.unwrap().0, Frame::GoAway, "{bytes:?}");
        assert_eq!(client.next().await, None, "{bytes:?}");
    }
}

#[tokio::test]
async fn decreasing_stream_number_closes_the_connection() {
    let (mut client, _streams, _finish) = client();
    client.open(3, HEADERS).await;
    client.open(1, HEADERS).await;
    client.wait_for(|frame| *frame == Frame::GoAway).await;
    assert_eq!(client.next().await, None);
}
