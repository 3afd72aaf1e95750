//! The least of an HTTP client: asks, and says the status.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

pub(super) fn get(address: SocketAddr, path: &str) -> anyhow::Result<u16> {
    let answer = read(address, path)?;
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    status.context("no HTTP")
}

fn read(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Returns the upper bound of the histogram bucket with the 99th percentile of schedule delays.
pub(super) fn schedule_delay(address: SocketAddr) -> anyhow::Result<String> {
    let page = read(address, "/metrics")?;
    let name = "probe_sidecar_schedule_delay_seconds";
    let number = |line: &str| {
        line.rsplit_once(' ')
            .and_then(|(_, number)| number.parse::<f64>().ok())
    };
    let count = page
        .lines()
        .find(|line| line.starts_with(&format!("{name}_count")));
    let count = count.and_then(number).context("no schedule delay")?;
    let mut buckets = page
        .lines()
        .filter(|line| line.starts_with(&format!("{name}_bucket")));
    let bucket = buckets.find(|line| number(line) >= Some(count * 0.99));
    let bound = bucket
        .and_then(|line| line.split('"').nth(1))
        .context("no bucket")?;
    Ok(format!("{bound} s of {count} attempts"))
}

/// What Prometheus does to an exporter: each target once a second, over connections that stay. Says how often it was answered.
pub(super) fn scrape(
    exporter: SocketAddr,
    server: SocketAddr,
    count: usize,
    time: Duration,
) -> impl FnOnce() -> anyhow::Result<usize> + Send {
    move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let end = Instant::now() + time;
            let apart = Duration::from_secs(1) / u32::try_from(count)?;
            let scrapers: Vec<_> = (0_u32..)
                .zip(0..count)
                .map(|(at, _)| tokio::spawn(target(exporter, server, at, apart * at, end)))
                .collect();
            let mut answered = 0;
            for scraper in scrapers {
                answered += scraper.await??;
            }
            Ok(answered)
        })
    }
}

async fn target(
    exporter: SocketAddr,
    server: SocketAddr,
    at: u32,
    first: Duration,
    end: Instant,
) -> anyhow::Result<usize> {
    let what = if at.is_multiple_of(2) {
        format!("module=http&target=http://{server}/")
    } else {
        format!("module=tcp&target={server}")
    };
    let request = format!("GET /probe?{what}&n={at} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut stream = tokio::net::TcpStream::connect(exporter).await?;
    let mut ticks = interval_at(Instant::now() + first, Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut answered, mut buffer) = (0, vec![0; 16 * 1024]);
    while timeout_at(end, ticks.tick()).await.is_ok() {
        stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        while !is_whole(&buffer[..filled]) {
            let read = stream.read(&mut buffer[filled..]).await?;
            anyhow::ensure!(read > 0, "the exporter closed the connection");
            filled += read;
        }
        answered +=
            usize::from(String::from_utf8_lossy(&buffer[..filled]).contains("probe_success 1"));
    }
    Ok(answered)
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None => body.ends_with("0\r\n\r\n"),
    }
}
