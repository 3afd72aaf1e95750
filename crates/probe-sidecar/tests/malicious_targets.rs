//! Malicious targets cost bounded time and memory, and are reported as failures.
//!
//! The file has one test, because it measures the memory of its process.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::time::Duration;

use peak_alloc::PeakAlloc;
use probe::{ProbeError, Verdict};
use probe_sidecar::attempt::{Attempt, AttemptRunner as _, LocalRunner};
use probe_sidecar::config::{self, ParseOptions};
use probe_sidecar::outcome::AttemptOutcome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const TIMEOUT: Duration = Duration::from_millis(300);
/// Maximum memory of an attempt: two response heads of maximum length, and TLS buffers.
const MAX_ALLOCATED: usize = 4 << 20;

#[derive(Clone, Copy, Debug)]
enum Misbehavior {
    EndlessHeaders,
    EndlessHeaderLine,
    EndlessBody,
    EndlessChunks,
    SlowLoris,
    TlsGarbage,
    Redirects,
    Silent,
}

async fn serve(mut stream: TcpStream, misbehavior: Misbehavior, port: u16) -> std::io::Result<()> {
    let mut request = [0; 1024];
    if !matches!(misbehavior, Misbehavior::TlsGarbage) {
        let _ = stream.read(&mut request).await?;
    }
    let ok = "HTTP/1.1 200 OK\r\n";
    let (head, repeated) = match misbehavior {
        Misbehavior::EndlessHeaders => (ok.to_owned(), "X-Header: x\r\n".repeat(500)),
        Misbehavior::EndlessHeaderLine => (format!("{ok}X: "), "x".repeat(8192)),
        Misbehavior::EndlessBody => (format!("{ok}\r\n"), "x".repeat(8192)),
        Misbehavior::EndlessChunks => (
            format!("{ok}Transfer-Encoding: chunked\r\n\r\n"),
            "1\r\nx\r\n".repeat(500),
        ),
        Misbehavior::TlsGarbage => (String::new(), "\x16\x03\x03\x7f\x7f".repeat(1000)),
        Misbehavior::Redirects => {
            let to = format!(
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/again\r\nContent-Length: 0\r\n\r\n"
            );
            return stream.write_all(to.as_bytes()).await;
        }
        Misbehavior::SlowLoris => {
            stream.write_all(ok.as_bytes()).await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Misbehavior::Silent => return std::future::pending().await,
    };
    stream.write_all(head.as_bytes()).await?;
    loop {
        stream.write_all(repeated.as_bytes()).await?;
    }
}

async fn attempt(misbehavior: Misbehavior, handler: &str) -> Result<AttemptOutcome, ProbeError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, misbehavior, port));
        }
    });
    let handler = handler.replace("PORT", &port.to_string());
    let text = format!("targets: [{{name: a, livenessProbe: {{{handler}}}}}]");
    let config = config::parse("c", text.as_bytes(), &ParseOptions::default()).unwrap();
    let attempt = Attempt::build(&config.targets[0].probes[0].handler).unwrap();
    let found = LocalRunner::default().run(&attempt, TIMEOUT).await;
    server.abort();
    found
}

#[tokio::test]
async fn attempt_on_a_malicious_target_fails_within_its_memory_limit() {
    let http = "httpGet: {port: PORT}";
    let strict = "httpGet: {port: PORT}, extensions: {expect: {bodyContains: zzz}}";
    let https = "httpGet: {port: PORT, scheme: HTTPS}";
    let grpc = "grpc: {port: PORT}";
    let grpcs = "grpc: {port: PORT}, extensions: {tls: {}}";
    let postgres =
        "extensions: {postgres: {conninfo: 'host=127.0.0.1 port=PORT', checks: [login]}}";
    for (misbehavior, handler) in [
        (Misbehavior::EndlessHeaders, http),
        (Misbehavior::EndlessHeaderLine, http),
        (Misbehavior::EndlessBody, strict),
        (Misbehavior::EndlessChunks, strict),
        (Misbehavior::SlowLoris, http),
        (Misbehavior::Redirects, http),
        (Misbehavior::Silent, http),
        (Misbehavior::TlsGarbage, https),
        (Misbehavior::Silent, https),
        (Misbehavior::TlsGarbage, grpc),
        (Misbehavior::Silent, grpc),
        (Misbehavior::TlsGarbage, grpcs),
        (Misbehavior::Silent, grpcs),
        (Misbehavior::TlsGarbage, postgres),
        (Misbehavior::Silent, postgres),
    ] {
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let found = attempt(misbehavior, handler).await;
        let peak = ALLOCATOR.peak_usage().saturating_sub(before);
        assert!(
            peak < MAX_ALLOCATED,
            "{misbehavior:?} of {handler}: {peak} bytes"
        );
        if let Ok(finding) = found {
            assert_eq!(
                finding.verdict,
                Verdict::Failure,
                "{misbehavior:?} of {handler}: {finding:?}"
            );
            assert!(finding.reason.is_some(), "{misbehavior:?} of {handler}");
        }
    }
}
