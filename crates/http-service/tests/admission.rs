//! The connection limit under clients that hold connections open, over real sockets.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::{future::pending, net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use http_service::{Limits, Readiness, Server, Shutdown};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

const LONG: Duration = Duration::from_secs(3600);

/// Limits whose timeouts do not expire during a test.
const NO_TIMEOUTS: Limits = Limits {
    connections: 4,
    reserved_connections: 2,
    header_timeout: LONG,
    idle_timeout: LONG,
    body_timeout: LONG,
    write_timeout: LONG,
    ..Limits::DEFAULT
};

/// Serves health endpoints, small and large responses, and `/hang`, which reports each request and never responds.
async fn start(limits: Limits) -> (SocketAddr, mpsc::UnboundedReceiver<()>) {
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let hang = move || {
        let arrived = arrived.clone();
        async move {
            arrived.send(()).unwrap();
            pending::<()>().await;
        }
    };
    let router = Router::new()
        .route("/livez", get(async || "alive"))
        .route("/livez/app", get(async || "alive"))
        .route("/", get(async || "fine"))
        .route("/large", get(async || vec![0; 64 << 20]))
        .route("/hang", get(hang));
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits)
        .await
        .unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        let shutdown = Shutdown::new(Duration::ZERO, LONG);
        server.serve(router, &Readiness::default(), &shutdown).await
    });
    (address, arrivals)
}

async fn send(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

/// Reads a response up to and including `part`.
async fn read_until(stream: &mut TcpStream, part: &str) -> String {
    let mut answer = String::new();
    while !answer.ends_with(part) {
        answer.push(stream.read_u8().await.unwrap().into());
    }
    answer
}

async fn get_once(address: SocketAddr, path: &str) -> String {
    let mut stream = send(address, &request(path)).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

const KEEP_ALIVE: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// A complete request and the start of another.
const INCOMPLETE: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /";

/// Waits for the server's next byte; returns `true` if it closed the connection instead.
async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn oldest_idle_connection_at_the_limit_is_closed_for_a_new_one() {
    let (address, _) = start(NO_TIMEOUTS).await;
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut stream = send(address, KEEP_ALIVE).await;
        read_until(&mut stream, "fine").await;
        kept.push(stream);
    }
    // The first one is used again, so the second one is the oldest.
    kept[0].write_all(KEEP_ALIVE.as_bytes()).await.unwrap();
    read_until(&mut kept[0], "fine").await;
    assert!(get_once(address, "/").await.ends_with("fine"));
    assert!(is_closed(&mut kept[1]).await);
    for at in [0, 2, 3] {
        kept[at].write_all(KEEP_ALIVE.as_bytes()).await.unwrap();
        read_until(&mut kept[at], "fine").await;
    }
}

#[tokio::test]
async fn half_sent_requests_at_the_limit_do_not_block_new_connections() {
    let (address, _) = start(NO_TIMEOUTS).await;
    let mut held = Vec::new();
    for bytes in ["", "GET /", INCOMPLETE].iter().cycle().take(64) {
        held.push(send(address, bytes).await);
        assert!(get_once(address, "/livez").await.ends_with("alive"));
        assert!(get_once(address, "/").await.ends_with("fine"));
    }
}

#[tokio::test]
async fn busy_connections_at_the_limit_do_not_block_health_requests() {
    let (address, mut arrivals) = start(NO_TIMEOUTS).await;
    let mut busy = Vec::new();
    for _ in 0..4 {
        busy.push(send(address, &request("/hang")).await);
        arrivals.recv().await.unwrap();
    }
    let refused = get_once(address, "/").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    // Idle reserved connections are replaced as well.
    let mut held = Vec::new();
    for bytes in ["", "GET /", INCOMPLETE].iter().cycle().take(16) {
        held.push(send(address, bytes).await);
        for path in ["/livez", "/livez/app"] {
            let answer = get_once(address, path).await;
            assert!(answer.ends_with("alive"), "{answer}");
            assert!(answer.contains("connection: close\r\n"), "{answer}");
        }
    }
    // One slot is free, for any request.
    drop(busy.pop());
    while !get_once(address, "/").await.ends_with("fine") {}
}

#[tokio::test]
async fn slow_readers_at_the_limit_do_not_block_health_requests() {
    let (address, _) = start(NO_TIMEOUTS).await;
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut stream = send(address, &request("/large")).await;
        stream.read_u8().await.unwrap();
        readers.push(stream);
    }
    assert!(get_once(address, "/livez").await.ends_with("alive"));
}

#[tokio::test]
async fn incomplete_later_request_is_closed_by_the_header_deadline() {
    let limits = Limits {
        header_timeout: Duration::from_millis(50),
        ..NO_TIMEOUTS
    };
    let (address, _) = start(limits).await;
    let mut stream = send(address, KEEP_ALIVE).await;
    read_until(&mut stream, "fine").await;
    stream.write_all(b"GET /").await.unwrap();
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn idle_connection_is_closed_by_its_own_deadline() {
    let limits = Limits {
        idle_timeout: Duration::from_millis(50),
        ..NO_TIMEOUTS
    };
    let (address, _) = start(limits).await;
    for bytes in [KEEP_ALIVE, INCOMPLETE] {
        let mut stream = send(address, bytes).await;
        let end = if bytes == KEEP_ALIVE { "fine" } else { "alive" };
        read_until(&mut stream, end).await;
        assert!(is_closed(&mut stream).await);
    }
}
