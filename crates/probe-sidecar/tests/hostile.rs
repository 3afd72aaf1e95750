//! Targets that mean ill cost bounded time and memory, and are told of as failures.
//!
//! One test in a process of its own: it measures what the process allocates.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::time::Duration;

use peak_alloc::PeakAlloc;
use probe::{ProbeError, Verdict};
use probe_sidecar::attempt::{Attempt, Attempts as _, Local};
use probe_sidecar::config::{self, Surroundings};
use probe_sidecar::finding::Finding;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const TIMEOUT: Duration = Duration::from_millis(300);
/// Two heads of the longest kind that is read, and room for TLS.
const MOST: usize = 4 << 20;

#[derive(Clone, Copy, Debug)]
enum Evil {
    EndlessHeaders,
    EndlessHeaderLine,
    EndlessBody,
    EndlessChunks,
    SlowLoris,
    TlsGarbage,
    Redirects,
    Silent,
}

async fn serve(mut stream: TcpStream, evil: Evil, port: u16) -> std::io::Result<()> {
    let mut request = [0; 1024];
    if !matches!(evil, Evil::TlsGarbage) {
        let _ = stream.read(&mut request).await?;
    }
    let ok = "HTTP/1.1 200 OK\r\n";
    let (head, forever) = match evil {
        Evil::EndlessHeaders => (ok.to_owned(), "X-Header: x\r\n".repeat(500)),
        Evil::EndlessHeaderLine => (format!("{ok}X: "), "x".repeat(8192)),
        Evil::EndlessBody => (format!("{ok}\r\n"), "x".repeat(8192)),
        Evil::EndlessChunks => (
            format!("{ok}Transfer-Encoding: chunked\r\n\r\n"),
            "1\r\nx\r\n".repeat(500),
        ),
        Evil::TlsGarbage => (String::new(), "\x16\x03\x03\x7f\x7f".repeat(1000)),
        Evil::Redirects => {
            let to = format!(
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{port}/again\r\nContent-Length: 0\r\n\r\n"
            );
            return stream.write_all(to.as_bytes()).await;
        }
        Evil::SlowLoris => {
            stream.write_all(ok.as_bytes()).await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Evil::Silent => return std::future::pending().await,
    };
    stream.write_all(head.as_bytes()).await?;
    loop {
        stream.write_all(forever.as_bytes()).await?;
    }
}

async fn attempt(evil: Evil, handler: &str) -> Result<Finding, ProbeError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, evil, port));
        }
    });
    let handler = handler.replace("PORT", &port.to_string());
    let text = format!("targets: [{{name: a, livenessProbe: {{{handler}}}}}]");
    let config = config::parse("c", text.as_bytes(), &Surroundings::default()).unwrap();
    let attempt = Attempt::build(&config.targets[0].probes[0].handler).unwrap();
    let found = Local::default().make(&attempt, TIMEOUT).await;
    server.abort();
    found
}

#[tokio::test]
async fn hostile_targets_are_failures_of_bounded_cost() {
    let http = "httpGet: {port: PORT}";
    let strict = "httpGet: {port: PORT}, beyond: {expect: {bodyContains: zzz}}";
    let https = "httpGet: {port: PORT, scheme: HTTPS}";
    let grpc = "grpc: {port: PORT}";
    let grpcs = "grpc: {port: PORT}, beyond: {tls: {}}";
    let postgres = "beyond: {postgres: {conninfo: 'host=127.0.0.1 port=PORT', checks: [login]}}";
    for (evil, handler) in [
        (Evil::EndlessHeaders, http),
        (Evil::EndlessHeaderLine, http),
        (Evil::EndlessBody, strict),
        (Evil::EndlessChunks, strict),
        (Evil::SlowLoris, http),
        (Evil::Redirects, http),
        (Evil::Silent, http),
        (Evil::TlsGarbage, https),
        (Evil::Silent, https),
        (Evil::TlsGarbage, grpc),
        (Evil::Silent, grpc),
        (Evil::TlsGarbage, grpcs),
        (Evil::Silent, grpcs),
        (Evil::TlsGarbage, postgres),
        (Evil::Silent, postgres),
    ] {
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let found = attempt(evil, handler).await;
        let peak = ALLOCATOR.peak_usage().saturating_sub(before);
        assert!(peak < MOST, "{evil:?} of {handler}: {peak} bytes");
        if let Ok(finding) = found {
            assert_eq!(
                finding.verdict,
                Verdict::Failure,
                "{evil:?} of {handler}: {finding:?}"
            );
            assert!(finding.reason.is_some(), "{evil:?} of {handler}");
        }
    }
}
