//! Handlers of extensions against real servers.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use probe::{Clock, Verdict};
use probe_sidecar::attempt::{Attempt, AttemptRunner as _, LocalRunner};
use probe_sidecar::config::{self, ParseOptions};
use probe_sidecar::engine::Engine;
use probe_sidecar::grpc;
use probe_sidecar::outcome::AttemptOutcome;
use probe_sidecar::web::AppState;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Creates a certificate authority in `dir`, with a server and a client certificate.
fn certificates(dir: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(dir.join("ca.crt"), issuer.pem()).unwrap();
    for name in ["server.test", "client.test"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(dir.join(format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// Creates a TLS acceptor that requires a client certificate of the authority.
fn acceptor(dir: &Path, protocol: &[u8]) -> TlsAcceptor {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(dir.join("ca.crt")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let certificate = CertificateDer::from_pem_file(dir.join("server.test.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join("server.test.key")).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn attempt(probe: &str) -> AttemptOutcome {
    let text = format!("targets: [{{name: a, readinessProbe: {{{probe}}}}}]");
    let config = config::parse("c", text.as_bytes(), &ParseOptions::default()).unwrap();
    let attempt = Attempt::build(&config.targets[0].probes[0].handler).unwrap();
    let outcome = LocalRunner::default()
        .run(&attempt, TEST_TIMEOUT)
        .await
        .unwrap();
    let has_certificate = probe.contains("tls:") && outcome.verdict == Verdict::Success;
    if has_certificate {
        let expiry = attempt.certificate_expiry().unwrap();
        assert!(expiry > Timestamp::now().as_second(), "{probe}: {expiry}");
    }
    outcome
}

fn result_kind(outcome: &AttemptOutcome) -> &'static str {
    outcome.reason.map_or("ok", |reason| reason.kind)
}

/// TLS settings of a probe, and whether they are accepted.
fn settings(dir: &Path) -> [(String, bool); 4] {
    let dir = dir.display();
    let client = format!("certFile: {dir}/client.test.crt, keyFile: {dir}/client.test.key");
    let ca = format!("caFile: {dir}/ca.crt");
    [
        (format!("{ca}, {client}, serverName: server.test"), true),
        (client.clone(), true),
        (format!("{ca}, {client}, serverName: other.test"), false),
        (format!("{ca}, serverName: server.test"), false),
    ]
}

#[tokio::test]
async fn https_probe_presents_a_client_certificate_and_checks_expectations() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = acceptor(dir.path(), b"http/1.1");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let _ = stream.read(&mut [0; 1024]).await;
            let answer = b"HTTP/1.1 200 OK\r\nX-Role: primary\r\nContent-Length: 5\r\n\r\nready";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    let get = format!("httpGet: {{port: {port}, scheme: HTTPS}}");
    for (tls, is_accepted) in settings(dir.path()) {
        let found = attempt(&format!("{get}, extensions: {{tls: {{{tls}}}}}")).await;
        assert_eq!(
            found.verdict == Verdict::Success,
            is_accepted,
            "{tls}: {found:?}"
        );
    }
    for (min_days_left, expected) in [(1, "ok"), (1_000_000, "certificate_expiry")] {
        let tls = format!(
            "{get}, extensions: {{tls: {{certFile: {dir}/client.test.crt, keyFile: {dir}/client.test.key, minDaysLeft: {min_days_left}}}}}",
            dir = dir.path().display()
        );
        let found = attempt(&tls).await;
        assert_eq!(result_kind(&found), expected, "{found:?}");
    }
    let [(tls, _), ..] = settings(dir.path());
    for (expect, expected) in [
        (
            "bodyMatches: '^ready$', headers: [{name: x-role, value: primary}]",
            "ok",
        ),
        ("bodyContains: steady", "body"),
        ("headers: [{name: X-Role, value: standby}]", "header"),
        ("statuses: [204]", "status"),
    ] {
        let found = attempt(&format!(
            "{get}, extensions: {{tls: {{{tls}}}, expect: {{{expect}}}}}"
        ))
        .await;
        assert_eq!(result_kind(&found), expected, "{found:?}");
    }
}

#[tokio::test]
async fn grpc_probe_over_tls_checks_a_sidecar() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = plain.local_addr().unwrap();
    let engine = Engine::new(
        Clock::new(Timestamp::UNIX_EPOCH, 1.0),
        Arc::new(LocalRunner::default()),
    );
    let ready = http_service::Readiness::default();
    ready.open();
    let app = AppState { engine, ready };
    tokio::spawn(grpc::serve(plain, app, std::future::pending()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = acceptor(dir.path(), b"h2");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut to = TcpStream::connect(behind).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut to).await;
                }
            });
        }
    });
    let [(tls, _), ..] = settings(dir.path());
    let found = attempt(&format!(
        "grpc: {{port: {port}}}, extensions: {{tls: {{{tls}}}}}"
    ))
    .await;
    assert_eq!(result_kind(&found), "ok", "{found:?}");
    let plain = attempt(&format!("grpc: {{port: {}}}", behind.port())).await;
    assert_eq!(result_kind(&plain), "ok", "{plain:?}");
    let unknown = format!("grpc: {{port: {}, service: livez/x}}", behind.port());
    assert_eq!(result_kind(&attempt(&unknown).await), "protocol");
}

#[tokio::test]
async fn postgres_probe_runs_checks_with_a_password_from_a_file() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let by_password = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    let server = test_support::postgres::Server::start_with_hba(&bin, by_password);
    server.sql("CREATE ROLE app LOGIN PASSWORD 's3cret'");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let probe = format!(
        "extensions: {{postgres: {{conninfo: 'host=127.0.0.1 port={} user=app dbname=postgres', checks: [login, write], passwordFile: {}}}}}",
        server.port,
        file.display()
    );
    for (password, expected) in [("wrong", "bad_password"), ("s3cret", "ok")] {
        std::fs::write(&file, password).unwrap();
        let found = attempt(&probe).await;
        assert_eq!(result_kind(&found), expected, "{found:?}");
    }
    server.stop();
    assert_eq!(result_kind(&attempt(&probe).await), "refused");
}
