//! Limits and shutdown of the server, over real sockets.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::{future::pending, net::SocketAddr, time::Duration};

use axum::{
    Extension, Router,
    routing::{get, post},
};
use http_service::{Limits, Peer, Readiness, Server, Shutdown, ShutdownOutcome};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
};

const LONG: Duration = Duration::from_secs(3600);

struct TestServer {
    address: SocketAddr,
    ready: Readiness,
    shutdown: Shutdown,
    outcome: JoinHandle<ShutdownOutcome>,
}

async fn start(router: Router, limits: Limits, shutdown: Shutdown) -> TestServer {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits)
        .await
        .unwrap();
    let address = server.local_addr().unwrap();
    let ready = Readiness::default();
    let (latch, tokens) = (ready.clone(), shutdown.clone());
    let outcome = tokio::spawn(async move { server.serve(router, &latch, &tokens).await });
    TestServer {
        address,
        ready,
        shutdown,
        outcome,
    }
}

async fn serve(router: Router) -> TestServer {
    start(
        router,
        Limits::default(),
        Shutdown::new(Duration::ZERO, LONG),
    )
    .await
}

impl TestServer {
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn answer(&self, request: &str) -> String {
        read(self.send(request).await).await
    }
}

async fn read(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // The server may reset the connection after its response.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[track_caller]
fn assert_status(answer: &str, status: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Returns a router whose handler reports each request and never responds.
fn hanging_router() -> (Router, mpsc::UnboundedReceiver<()>) {
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let handler = move || {
        let arrived = arrived.clone();
        async move {
            arrived.send(()).unwrap();
            pending::<()>().await;
        }
    };
    (Router::new().route("/", get(handler)), arrivals)
}

#[tokio::test]
async fn handler_receives_the_address_of_the_client() {
    let handler = async |Extension(Peer(peer)): Extension<Peer>| peer.ip().to_string();
    let server = serve(Router::new().route("/", get(handler))).await;
    let answer = server.answer(GET).await;
    assert!(answer.ends_with("\r\n127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn body_over_the_limit_is_rejected_and_body_at_the_limit_is_not() {
    let router = Router::new().route("/", post(async |body: String| body));
    let limits = Limits {
        body_bytes: 4,
        ..Limits::default()
    };
    let server = start(router, limits, Shutdown::new(Duration::ZERO, LONG)).await;
    let post = |body: &str| {
        let length = body.len();
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    assert_status(&server.answer(&post("1234")).await, "200");
    assert_status(&server.answer(&post("12345")).await, "413");
}

#[tokio::test]
async fn headers_over_the_limit_are_rejected() {
    let limits = Limits {
        header_bytes: 8192,
        ..Limits::default()
    };
    let server = start(Router::new(), limits, Shutdown::new(Duration::ZERO, LONG)).await;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n",
        "x".repeat(8192)
    );
    assert_status(&server.answer(&request).await, "431");
}

#[tokio::test]
async fn connection_with_incomplete_headers_is_closed_by_the_deadline() {
    let limits = Limits {
        header_timeout: Duration::from_millis(20),
        ..Limits::default()
    };
    let server = start(Router::new(), limits, Shutdown::new(Duration::ZERO, LONG)).await;
    let answer = server.answer("GET / HTTP/1.1\r\nHost: a\r\n").await;
    assert!(!answer.contains("200"), "{answer}");
}

#[tokio::test]
async fn stalled_body_is_rejected() {
    let router = Router::new().route("/", post(async |body: String| body));
    let limits = Limits {
        body_timeout: Duration::from_millis(20),
        ..Limits::default()
    };
    let server = start(router, limits, Shutdown::new(Duration::ZERO, LONG)).await;
    let request =
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 9\r\n\r\nhalf";
    assert_status(&server.answer(request).await, "400");
}

#[tokio::test]
async fn connection_of_a_client_that_does_not_read_is_closed() {
    let limits = Limits {
        write_timeout: Duration::from_millis(20),
        ..Limits::default()
    };
    // More than the kernel buffers for a client.
    let router = Router::new().route("/", get(|| async { vec![0; 64 << 20] }));
    let server = start(router, limits, Shutdown::new(Duration::ZERO, LONG)).await;
    let mut client = server.send(GET).await;
    client.read_u8().await.unwrap();
    server.shutdown.drain.cancel();
    assert_eq!(server.outcome.await.unwrap(), ShutdownOutcome::Drained);
}

#[tokio::test]
async fn panic_in_a_handler_fails_only_its_request() {
    async fn panics() {
        panic!("on purpose");
    }
    let router = Router::new()
        .route("/panic", get(panics))
        .route("/", get(async || "fine"));
    let server = serve(router).await;
    assert_status(&server.answer(&GET.replace("/ ", "/panic ")).await, "500");
    assert_status(&server.answer(GET).await, "200");
}

#[tokio::test]
async fn idle_connection_does_not_delay_the_shutdown() {
    let server = serve(Router::new().route("/", get(async || "fine"))).await;
    let mut idle = server.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.read_exact(&mut [0; 16]).await.unwrap();
    server.shutdown.drain.cancel();
    assert_eq!(server.outcome.await.unwrap(), ShutdownOutcome::Drained);
}

#[tokio::test]
async fn request_that_exceeds_the_grace_is_closed() {
    let (router, mut arrivals) = hanging_router();
    let server = start(
        router,
        Limits::default(),
        Shutdown::new(Duration::ZERO, Duration::ZERO),
    )
    .await;
    let hung = server.send(GET).await;
    arrivals.recv().await.unwrap();
    server.shutdown.drain.cancel();
    assert_eq!(
        server.outcome.await.unwrap(),
        ShutdownOutcome::DeadlinePassed { open: 1 }
    );
    assert_eq!(read(hung).await, "");
}

#[tokio::test]
async fn abort_closes_open_requests() {
    let (router, mut arrivals) = hanging_router();
    let server = serve(router).await;
    let _hung = server.send(GET).await;
    arrivals.recv().await.unwrap();
    server.shutdown.drain.cancel();
    server.ready.closed().await;
    server.shutdown.abort.cancel();
    assert_eq!(
        server.outcome.await.unwrap(),
        ShutdownOutcome::Aborted { open: 1 }
    );
}

#[tokio::test]
async fn unready_service_accepts_connections_during_the_delay() {
    let router = Router::new().route("/", get(async || "fine"));
    let server = start(router, Limits::default(), Shutdown::new(LONG, LONG)).await;
    assert_status(&server.answer(GET).await, "200");
    assert!(server.ready.is_open());
    server.shutdown.drain.cancel();
    server.ready.closed().await;
    assert_status(&server.answer(GET).await, "200");
    assert!(!server.ready.is_open());
    server.shutdown.abort.cancel();
    assert_eq!(
        server.outcome.await.unwrap(),
        ShutdownOutcome::Aborted { open: 0 }
    );
}

#[tokio::test]
async fn connections_are_refused_during_the_drain() {
    let (router, mut arrivals) = hanging_router();
    let server = serve(router).await;
    let hung = server.send(GET).await;
    arrivals.recv().await.unwrap();
    server.shutdown.drain.cancel();
    server.ready.closed().await;
    drop(hung);
    let address = server.address;
    assert_eq!(server.outcome.await.unwrap(), ShutdownOutcome::Drained);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn bind_error_names_the_address() {
    let server = serve(Router::new()).await;
    let error = Server::bind(server.address, Limits::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {}", server.address)
    );
}

#[tokio::test]
async fn ambiguous_request_is_rejected_and_its_connection_closed() {
    let server = serve(Router::new().route("/", get(async || "fine"))).await;
    for (headers, status) in [
        ("", "400"),
        ("Host: a\r\nHost: b\r\n", "400"),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", "501"),
        ("Host: a\r\nTransfer-Encoding: chunked, chunked\r\n", "400"),
    ] {
        let request =
            format!("POST / HTTP/1.1\r\n{headers}\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let response = server.answer(&request).await;
        assert_status(&response, status);
        assert!(!response.contains("fine"), "{headers:?}: {response}");
    }
}
