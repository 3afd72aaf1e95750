//! The server on real sockets: limits of connections, public paths, and a restart of its accept loop.

use std::io;

use component_helpers::supervisor::Supervisor;
use jiff::Timestamp;
use probe::Clock;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::DropGuard;

use super::*;

type Client = TlsStream<TcpStream>;

struct Fixture {
    supervisor: Supervisor,
    address: SocketAddr,
    credentials: Arc<Credentials>,
    _stop: DropGuard,
}

impl Fixture {
    /// Starts a server with a connection limit. Its clock runs at 100 times real time, so that a restart takes some milliseconds.
    async fn start(max_connections: usize) -> Self {
        let stop = CancellationToken::new();
        let clock = Clock::new(Timestamp::UNIX_EPOCH, 100.0);
        let supervisor = Supervisor::new(clock.clone(), stop.clone());
        let api = Api::new(clock).with_supervisor(supervisor.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let credentials = Arc::new(Credentials::generate().unwrap());
        let (served, shutdown) = (credentials.clone(), stop.clone());
        tokio::spawn(async move {
            serve_with_limit(&api, listener, &served, shutdown, max_connections).await
        });
        Self {
            supervisor,
            address,
            credentials,
            _stop: stop.drop_guard(),
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn connect_tls(&self, protocol: &[u8]) -> io::Result<Client> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.credentials.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, self.connect().await).await
    }

    /// Sends a request with the token and further header lines; returns the head of the response.
    async fn request(&self, client: &mut Client, path: &str, lines: &str) -> io::Result<String> {
        let token = &self.credentials.token;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{lines}\r\n"
        );
        client.write_all(request.as_bytes()).await?;
        read_until(client, "\r\n\r\n").await
    }

    /// Sends a request on a connection that stays open.
    async fn keep_alive(&self) -> Client {
        let mut client = self.connect_tls(b"http/1.1").await.unwrap();
        let head = self.request(&mut client, "/livez", "").await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(read_until(&mut client, "ok").await.unwrap(), "ok");
        client
    }
}

async fn read_until(client: &mut Client, end: &str) -> io::Result<String> {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        text.push(client.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Waits until the server closes the connection.
async fn wait_for_close(mut client: impl AsyncRead + Unpin) {
    let mut rest = Vec::new();
    // A reset closes the connection, too.
    let _ = client.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn idle_connections_do_not_lock_out_a_new_client() {
    let server = Fixture::start(3).await;
    let before_handshake = server.connect().await;
    let before_request = server.connect_tls(b"http/1.1").await.unwrap();
    let half_sent = {
        let mut client = server.connect_tls(b"http/1.1").await.unwrap();
        client.write_all(b"GET /livez HTT").await.unwrap();
        client
    };
    let mut clients = Vec::new();
    // Each takes the slot of the connection that has been idle longest.
    clients.push(server.keep_alive().await);
    wait_for_close(before_handshake).await;
    clients.push(server.keep_alive().await);
    wait_for_close(before_request).await;
    clients.push(server.keep_alive().await);
    wait_for_close(half_sent).await;
    clients.push(server.keep_alive().await);
    wait_for_close(clients.remove(0)).await;
    for client in &mut clients {
        let head = server.request(client, "/livez", "").await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
}

#[tokio::test]
async fn many_connections_without_a_handshake_do_not_lock_out_a_new_client() {
    let server = Fixture::start(8).await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(server.connect().await);
    }
    server.keep_alive().await;
    drop(idle);
}

#[tokio::test]
async fn watches_and_upgraded_connections_are_not_idle() {
    let server = Fixture::start(3).await;
    let path = "/api/v1/namespaces?watch=true";
    let mut watch = server.connect_tls(b"http/1.1").await.unwrap();
    let head = server.request(&mut watch, path, "").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut upgraded = server.connect_tls(b"http/1.1").await.unwrap();
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let head = server.request(&mut upgraded, path, upgrade).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    // All clients after the first take the slot of the one before.
    let mut last = server.keep_alive().await;
    for _ in 0..3 {
        let next = server.keep_alive().await;
        wait_for_close(std::mem::replace(&mut last, next)).await;
    }
    let created = "{\"metadata\": {\"name\": \"new\"}}";
    let create = format!(
        "POST /api/v1/namespaces HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{created}",
        server.credentials.token,
        created.len()
    );
    last.write_all(create.as_bytes()).await.unwrap();
    read_until(&mut watch, "\"name\":\"new\"").await.unwrap();
    read_until(&mut upgraded, "\"name\":\"new\"").await.unwrap();
}

#[tokio::test]
async fn http2_connection_with_an_open_stream_is_not_idle() {
    let server = Fixture::start(2).await;
    let stream = server.connect_tls(b"h2").await.unwrap();
    let io = TokioIo::new(stream);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let get = |path: &str| {
        let request = Request::builder()
            .uri(format!("https://localhost{path}"))
            .header(
                "authorization",
                format!("Bearer {}", server.credentials.token),
            );
        request.body(axum::body::Body::empty()).unwrap()
    };
    let watch = sender
        .send_request(get("/api/v1/namespaces?watch=true"))
        .await
        .unwrap();
    assert_eq!(watch.status(), 200);
    let mut last = server.keep_alive().await;
    for _ in 0..3 {
        let next = server.keep_alive().await;
        wait_for_close(std::mem::replace(&mut last, next)).await;
    }
    let second = sender.send_request(get("/livez")).await.unwrap();
    assert_eq!(second.status(), 200);
    drop(watch);
}

#[tokio::test]
async fn health_and_version_need_no_token() {
    let server = Fixture::start(8).await;
    for (path, status) in [
        ("/livez", 200),
        ("/readyz?verbose", 200),
        ("/healthz", 200),
        ("/version", 200),
        ("/metrics", 401),
        ("/readyz/ping", 401),
        ("/api", 401),
        ("/", 401),
    ] {
        let mut client = server.connect_tls(b"http/1.1").await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let head = read_until(&mut client, "\r\n").await.unwrap();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {head}"
        );
    }
}

#[tokio::test]
async fn server_accepts_connections_after_a_panic() {
    let server = Fixture::start(8).await;
    let mut open = server.keep_alive().await;
    server.supervisor.arm("kube-apiserver", 1);
    assert!(server.connect_tls(b"http/1.1").await.is_err());
    let head = server.request(&mut open, "/livez", "").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    server.keep_alive().await;
    let health = server.supervisor.health();
    let server = health
        .iter()
        .find(|one| one.name == "kube-apiserver")
        .unwrap();
    assert_eq!((server.panics, &server.failure), (1, &None));
}
