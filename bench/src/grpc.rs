//! A gRPC health service to probe, and a minimal client of it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::Context as _;
use bytes::Bytes;
use tokio::net::TcpStream as Accepted;

/// `HealthCheckResponse { status: SERVING }` with gRPC's length prefix.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Responds to every call on one connection with `SERVING`.
pub(crate) async fn serve(stream: Accepted) -> anyhow::Result<()> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(call) = connection.accept().await {
        let (_, mut respond) = call?;
        let head = http::Response::builder()
            .header("content-type", "application/grpc")
            .body(())?;
        let mut body = respond.send_response(head, false)?;
        body.send_data(Bytes::from_static(SERVING), false)?;
        let status = http::HeaderValue::from_static("0");
        body.send_trailers(
            [(http::HeaderName::from_static("grpc-status"), status)]
                .into_iter()
                .collect(),
        )?;
    }
    Ok(())
}

/// Connects, writes one call, and reads frames until the last of the call.
pub(crate) fn bare_call(server: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(&encode_call())?;
    let mut received = Vec::new();
    let mut part = [0; 1024];
    loop {
        let count = stream.read(&mut part)?;
        anyhow::ensure!(count > 0, "the health service closed before it responded");
        received.extend_from_slice(&part[..count]);
        while let Some((kind, flags, length)) = parse_frame_head(&received) {
            if received.len() < 9 + length {
                break;
            }
            if kind == HEADERS && flags & END_STREAM != 0 {
                return Ok(());
            }
            received.drain(..9 + length);
        }
    }
}

fn parse_frame_head(bytes: &[u8]) -> Option<(u8, u8, usize)> {
    let head = bytes.get(..9)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    Some((head[3], head[4], length as usize))
}

fn encode_call() -> Vec<u8> {
    let mut header_block = Vec::new();
    // Literal header fields without indexing.
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", "x"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        header_block.push(0);
        for text in [name, value] {
            header_block.push(u8::try_from(text.len()).expect("shorter than HPACK's 127"));
            header_block.extend_from_slice(text.as_bytes());
        }
    }
    let mut bytes = PREFACE.to_vec();
    write_frame(&mut bytes, SETTINGS, 0, 0, &[]);
    write_frame(&mut bytes, HEADERS, END_HEADERS, 1, &header_block);
    write_frame(&mut bytes, DATA, END_STREAM, 1, &[0; 5]);
    bytes
}

fn write_frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len())
        .expect("a few bytes")
        .to_be_bytes();
    bytes.extend_from_slice(&length[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// Starts the health service in a separate process.
pub(crate) fn start() -> anyhow::Result<crate::server::Server> {
    crate::server::Server::start("serve-grpc").context("the health service did not start")
}
