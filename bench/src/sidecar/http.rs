//! A minimal HTTP client.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

/// Returns the status code of a response.
pub(super) fn fetch_status(address: SocketAddr, path: &str) -> anyhow::Result<u16> {
    let response = fetch(address, path)?;
    let status = response.get(9..12).and_then(|status| status.parse().ok());
    status.context("not an HTTP response")
}

fn fetch(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

/// Returns the upper bound of the histogram bucket with the 99th percentile of the schedule delay.
pub(super) fn schedule_delay(address: SocketAddr) -> anyhow::Result<String> {
    let page = fetch(address, "/metrics")?;
    let name = "probe_sidecar_schedule_delay_seconds";
    let number = |line: &str| {
        line.rsplit_once(' ')
            .and_then(|(_, number)| number.parse::<f64>().ok())
    };
    let count = page
        .lines()
        .find(|line| line.starts_with(&format!("{name}_count")));
    let count = count
        .and_then(number)
        .context("no metric of the schedule delay")?;
    let mut buckets = page
        .lines()
        .filter(|line| line.starts_with(&format!("{name}_bucket")));
    let bucket = buckets.find(|line| number(line) >= Some(count * 0.99));
    let bound = bucket
        .and_then(|line| line.split('"').nth(1))
        .context("no bucket")?;
    Ok(format!("{bound} s of {count} attempts"))
}

/// Scrapes an exporter as Prometheus does: each target once a second over a persistent connection. Returns the number of successful probes.
pub(super) fn scrape(
    exporter: SocketAddr,
    server: SocketAddr,
    count: usize,
    duration: Duration,
) -> impl FnOnce() -> anyhow::Result<usize> + Send {
    move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let deadline = Instant::now() + duration;
            let stagger = Duration::from_secs(1) / u32::try_from(count)?;
            let scrapers: Vec<_> = (0_u32..)
                .zip(0..count)
                .map(|(index, _)| {
                    tokio::spawn(scrape_target(
                        exporter,
                        server,
                        index,
                        stagger * index,
                        deadline,
                    ))
                })
                .collect();
            let mut succeeded = 0;
            for scraper in scrapers {
                succeeded += scraper.await??;
            }
            Ok(succeeded)
        })
    }
}

async fn scrape_target(
    exporter: SocketAddr,
    server: SocketAddr,
    index: u32,
    first_delay: Duration,
    deadline: Instant,
) -> anyhow::Result<usize> {
    let parameters = if index.is_multiple_of(2) {
        format!("module=http&target=http://{server}/")
    } else {
        format!("module=tcp&target={server}")
    };
    let request = format!("GET /probe?{parameters}&n={index} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut stream = tokio::net::TcpStream::connect(exporter).await?;
    let mut ticks = interval_at(Instant::now() + first_delay, Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut succeeded, mut buffer) = (0, vec![0; 16 * 1024]);
    while timeout_at(deadline, ticks.tick()).await.is_ok() {
        stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        while !is_complete(&buffer[..filled]) {
            let read = stream.read(&mut buffer[filled..]).await?;
            anyhow::ensure!(read > 0, "the exporter closed the connection");
            filled += read;
        }
        succeeded +=
            usize::from(String::from_utf8_lossy(&buffer[..filled]).contains("probe_success 1"));
    }
    Ok(succeeded)
}

fn is_complete(response: &[u8]) -> bool {
    let text = String::from_utf8_lossy(response);
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
