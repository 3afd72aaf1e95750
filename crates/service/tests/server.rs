//! The server's bounds and its end, over real sockets.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::{future::pending, net::SocketAddr, time::Duration};

use axum::{
    Extension, Router,
    routing::{get, post},
};
use selfheal_service::{Ended, Limits, Peer, Readiness, Server, Stop};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
};

const LONG: Duration = Duration::from_secs(3600);

struct Running {
    address: SocketAddr,
    ready: Readiness,
    stop: Stop,
    ended: JoinHandle<Ended>,
}

async fn start(router: Router, limits: Limits, stop: Stop) -> Running {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), limits)
        .await
        .unwrap();
    let address = server.local_addr().unwrap();
    let ready = Readiness::default();
    let (latch, told) = (ready.clone(), stop.clone());
    let ended = tokio::spawn(async move { server.serve(router, &latch, &told).await });
    Running {
        address,
        ready,
        stop,
        ended,
    }
}

async fn serving(router: Router) -> Running {
    start(router, Limits::default(), Stop::new(Duration::ZERO, LONG)).await
}

impl Running {
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
    // A reset after the answer is as good an end as any: what was read is what counts.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[track_caller]
fn starts_with(answer: &str, status: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A router whose one handler reports each request and then never answers.
fn hanging() -> (Router, mpsc::UnboundedReceiver<()>) {
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
async fn handlers_see_the_callers_address() {
    let handler = async |Extension(Peer(peer)): Extension<Peer>| peer.ip().to_string();
    let running = serving(Router::new().route("/", get(handler))).await;
    let answer = running.answer(GET).await;
    assert!(answer.ends_with("\r\n127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let router = Router::new().route("/", post(async |body: String| body));
    let limits = Limits {
        body_bytes: 4,
        ..Limits::default()
    };
    let running = start(router, limits, Stop::new(Duration::ZERO, LONG)).await;
    let post = |body: &str| {
        let length = body.len();
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    starts_with(&running.answer(&post("1234")).await, "200");
    starts_with(&running.answer(&post("12345")).await, "413");
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let limits = Limits {
        header_bytes: 8192,
        ..Limits::default()
    };
    let running = start(Router::new(), limits, Stop::new(Duration::ZERO, LONG)).await;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n",
        "x".repeat(8192)
    );
    starts_with(&running.answer(&request).await, "431");
}

#[tokio::test]
async fn a_client_that_never_ends_its_headers_is_dropped() {
    let limits = Limits {
        header_timeout: Duration::from_millis(20),
        ..Limits::default()
    };
    let running = start(Router::new(), limits, Stop::new(Duration::ZERO, LONG)).await;
    let answer = running.answer("GET / HTTP/1.1\r\nHost: a\r\n").await;
    assert!(!answer.contains("200"), "{answer}");
}

#[tokio::test]
async fn a_client_that_stalls_in_its_body_is_refused() {
    let router = Router::new().route("/", post(async |body: String| body));
    let limits = Limits {
        body_timeout: Duration::from_millis(20),
        ..Limits::default()
    };
    let running = start(router, limits, Stop::new(Duration::ZERO, LONG)).await;
    let request =
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 9\r\n\r\nhalf";
    starts_with(&running.answer(request).await, "400");
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_dropped() {
    let limits = Limits {
        write_timeout: Duration::from_millis(20),
        ..Limits::default()
    };
    // More than the kernel keeps for a client.
    let router = Router::new().route("/", get(|| async { vec![0; 64 << 20] }));
    let running = start(router, limits, Stop::new(Duration::ZERO, LONG)).await;
    let mut client = running.send(GET).await;
    client.read_u8().await.unwrap();
    running.stop.drain.cancel();
    assert_eq!(running.ended.await.unwrap(), Ended::Drained);
}

#[tokio::test]
async fn a_panicking_handler_takes_only_its_own_request_down() {
    async fn panics() {
        panic!("on purpose");
    }
    let router = Router::new()
        .route("/panic", get(panics))
        .route("/", get(async || "fine"));
    let running = serving(router).await;
    starts_with(&running.answer(&GET.replace("/ ", "/panic ")).await, "500");
    starts_with(&running.answer(GET).await, "200");
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let running = serving(Router::new().route("/", get(async || "fine"))).await;
    let mut kept = running.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    kept.read_exact(&mut [0; 16]).await.unwrap();
    running.stop.drain.cancel();
    assert_eq!(running.ended.await.unwrap(), Ended::Drained);
}

#[tokio::test]
async fn the_end_drops_what_outlives_the_grace() {
    let (router, mut arrivals) = hanging();
    let running = start(
        router,
        Limits::default(),
        Stop::new(Duration::ZERO, Duration::ZERO),
    )
    .await;
    let hung = running.send(GET).await;
    arrivals.recv().await.unwrap();
    running.stop.drain.cancel();
    assert_eq!(
        running.ended.await.unwrap(),
        Ended::DeadlinePassed { open: 1 }
    );
    assert_eq!(read(hung).await, "");
}

#[tokio::test]
async fn an_abort_cuts_the_drain_short() {
    let (router, mut arrivals) = hanging();
    let running = serving(router).await;
    let _hung = running.send(GET).await;
    arrivals.recv().await.unwrap();
    running.stop.drain.cancel();
    running.ready.closed().await;
    running.stop.abort.cancel();
    assert_eq!(running.ended.await.unwrap(), Ended::Aborted { open: 1 });
}

#[tokio::test]
async fn an_unready_service_goes_on_accepting_for_the_delay() {
    let router = Router::new().route("/", get(async || "fine"));
    let running = start(router, Limits::default(), Stop::new(LONG, LONG)).await;
    starts_with(&running.answer(GET).await, "200");
    assert!(running.ready.is_open());
    running.stop.drain.cancel();
    running.ready.closed().await;
    starts_with(&running.answer(GET).await, "200");
    assert!(!running.ready.is_open());
    running.stop.abort.cancel();
    assert_eq!(running.ended.await.unwrap(), Ended::Aborted { open: 0 });
}

#[tokio::test]
async fn nobody_is_accepted_once_the_drain_has_begun() {
    let (router, mut arrivals) = hanging();
    let running = serving(router).await;
    let hung = running.send(GET).await;
    arrivals.recv().await.unwrap();
    running.stop.drain.cancel();
    running.ready.closed().await;
    drop(hung);
    let address = running.address;
    assert_eq!(running.ended.await.unwrap(), Ended::Drained);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let running = serving(Router::new()).await;
    let error = Server::bind(running.address, Limits::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {}", running.address)
    );
}
