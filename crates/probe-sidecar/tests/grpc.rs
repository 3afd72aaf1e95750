//! Limits of the gRPC health service over real sockets.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt as _;
use jiff::Timestamp;
use probe::Clock;
use probe_sidecar::attempt::LocalRunner;
use probe_sidecar::engine::Engine;
use probe_sidecar::grpc;
use probe_sidecar::web::AppState;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const PING: u8 = 6;

async fn serving() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let clock = Clock::new(Timestamp::UNIX_EPOCH, 1.0);
    let ready = http_service::Readiness::default();
    ready.open();
    let engine = Engine::new(clock, Arc::new(LocalRunner::default()));
    let app = AppState { engine, ready };
    tokio::spawn(grpc::serve(listener, app, std::future::pending()));
    address
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let head = [0, 0, length, kind, 0, 0, 0, 0, 0];
    [&head, payload].concat()
}

/// Connects and sends the HTTP/2 preface.
async fn connected(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let hello = [PREFACE, &frame(SETTINGS, &[])].concat();
    stream.write_all(&hello).await.unwrap();
    stream
}

/// Returns the payload of the next frame of a kind, except an acknowledgement of settings.
async fn next(stream: &mut TcpStream, kind: u8) -> Vec<u8> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == kind && (kind != SETTINGS || head[4] == 0) {
            return payload;
        }
    }
}

#[tokio::test]
async fn settings_limit_concurrent_streams() {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    let mut stream = connected(serving().await).await;
    let settings = next(&mut stream, SETTINGS).await;
    let found = settings.chunks(6).find_map(|entry| {
        let (id, value) = entry.split_at(2);
        let is_limit = id == MAX_CONCURRENT_STREAMS.to_be_bytes();
        is_limit.then(|| u32::from_be_bytes(value.try_into().unwrap()))
    });
    assert_eq!(found, Some(64));
}

#[tokio::test]
async fn connection_above_the_limit_waits_until_another_closes() {
    let address = serving().await;
    let mut served = Vec::new();
    for _ in 0..grpc::MAX_CONNECTIONS {
        let mut stream = connected(address).await;
        next(&mut stream, SETTINGS).await;
        served.push(stream);
    }
    let mut waiting = connected(address).await;
    // All others are still served; the additional one is not.
    for stream in &mut served {
        stream.write_all(&frame(PING, &[7; 8])).await.unwrap();
        assert_eq!(next(stream, PING).await, [7; 8]);
    }
    assert!(next(&mut waiting, SETTINGS).now_or_never().is_none());
    drop(served.pop());
    next(&mut waiting, SETTINGS).await;
}
