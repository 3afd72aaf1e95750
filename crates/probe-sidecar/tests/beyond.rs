//! Probes that the kubelet cannot make, against real servers.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use probe::{Clock, Verdict};
use probe_sidecar::attempt::{Attempt, Attempts as _, Local};
use probe_sidecar::config::{self, Surroundings};
use probe_sidecar::engine::Engine;
use probe_sidecar::finding::Finding;
use probe_sidecar::grpc;
use probe_sidecar::web::App;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const ENOUGH: Duration = Duration::from_secs(30);

/// An authority in a folder, with a server's and a client's certificate.
fn certificates(folder: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(DnType::CommonName, "the authority of a test");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.crt"), issuer.pem()).unwrap();
    for name in ["server.test", "client.test"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// A server's side of TLS that lets in whom the authority knows.
fn acceptor(folder: &Path, protocol: &[u8]) -> TlsAcceptor {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(folder.join("ca.crt")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let certificate = CertificateDer::from_pem_file(folder.join("server.test.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.test.key")).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn attempt(probe: &str) -> Finding {
    let text = format!("targets: [{{name: a, readinessProbe: {{{probe}}}}}]");
    let config = config::parse("c", text.as_bytes(), &Surroundings::default()).unwrap();
    let attempt = Attempt::build(&config.targets[0].probes[0].handler).unwrap();
    Local::default().make(&attempt, ENOUGH).await.unwrap()
}

fn word(finding: &Finding) -> &'static str {
    finding.reason.map_or("well", |why| why.word)
}

/// The TLS settings of a probe, each of which makes another difference.
fn settings(folder: &Path) -> [(String, bool); 4] {
    let folder = folder.display();
    let client = format!("certFile: {folder}/client.test.crt, keyFile: {folder}/client.test.key");
    let ca = format!("caFile: {folder}/ca.crt");
    [
        (format!("{ca}, {client}, serverName: server.test"), true),
        (client.clone(), true),
        (format!("{ca}, {client}, serverName: other.test"), false),
        (format!("{ca}, serverName: server.test"), false),
    ]
}

#[tokio::test]
async fn https_with_a_client_certificate_and_expectations() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = acceptor(folder.path(), b"http/1.1");
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
    for (tls, well) in settings(folder.path()) {
        let found = attempt(&format!("{get}, beyond: {{tls: {{{tls}}}}}")).await;
        assert_eq!(found.verdict == Verdict::Success, well, "{tls}: {found:?}");
    }
    let [(tls, _), ..] = settings(folder.path());
    for (expect, expected) in [
        (
            "bodyMatches: '^ready$', headers: [{name: x-role, value: primary}]",
            "well",
        ),
        ("bodyContains: steady", "body"),
        ("headers: [{name: X-Role, value: standby}]", "header"),
        ("statuses: [204]", "status"),
    ] {
        let found = attempt(&format!(
            "{get}, beyond: {{tls: {{{tls}}}, expect: {{{expect}}}}}"
        ))
        .await;
        assert_eq!(word(&found), expected, "{found:?}");
    }
}

#[tokio::test]
async fn grpc_over_tls_asks_the_sidecars_own_service() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = plain.local_addr().unwrap();
    let engine = Engine::new(
        Clock::new(Timestamp::UNIX_EPOCH, 1.0),
        Arc::new(Local::default()),
    );
    let ready = http_service::Readiness::default();
    ready.open();
    let app = App { engine, ready };
    tokio::spawn(grpc::serve(plain, app, std::future::pending()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = acceptor(folder.path(), b"h2");
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
    let [(tls, _), ..] = settings(folder.path());
    let found = attempt(&format!(
        "grpc: {{port: {port}}}, beyond: {{tls: {{{tls}}}}}"
    ))
    .await;
    assert_eq!(word(&found), "well", "{found:?}");
    let plain = attempt(&format!("grpc: {{port: {}}}", behind.port())).await;
    assert_eq!(word(&plain), "well", "{plain:?}");
    let unknown = format!("grpc: {{port: {}, service: livez/x}}", behind.port());
    assert_eq!(word(&attempt(&unknown).await), "protocol");
}

#[tokio::test]
async fn postgres_is_asked_with_checks_and_a_password_from_a_file() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let by_password = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    let server = test_support::postgres::Server::start_with_hba(&bin, by_password);
    server.sql("CREATE ROLE app LOGIN PASSWORD 's3cret'");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let probe = format!(
        "beyond: {{postgres: {{conninfo: 'host=127.0.0.1 port={} user=app dbname=postgres', checks: [login, write], passwordFile: {}}}}}",
        server.port,
        file.display()
    );
    for (password, expected) in [("wrong", "bad_password"), ("s3cret", "well")] {
        std::fs::write(&file, password).unwrap();
        let found = attempt(&probe).await;
        assert_eq!(word(&found), expected, "{found:?}");
    }
    server.stop();
    assert_eq!(word(&attempt(&probe).await), "refused");
}
