//! CPU time and allocations of consecutive probes, beside a minimal loop without the probe engine.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use probe::{HttpGet, USER_AGENT};
use stats_alloc::Region;

const PROBES: u32 = 4_000;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Cost of one operation.
struct Cost {
    name: &'static str,
    cpu: Duration,
    allocations: usize,
    bytes: usize,
}

impl Cost {
    fn line(&self, baseline: &Self) -> String {
        let ratio = self.cpu.as_secs_f64() / baseline.cpu.as_secs_f64();
        format!(
            "{:<28} {:>7.1} µs CPU ({ratio:.2} of bare)  {:>4} allocations  {:>6} bytes",
            self.name,
            self.cpu.as_secs_f64() * 1e6,
            self.allocations,
            self.bytes
        )
    }
}

pub(crate) fn measure(server: SocketAddr, health: SocketAddr) -> anyhow::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bare_http = measure_each("bare connect-write-read", PROBES, || bare_http_get(server))?;
    let client = probe::http::Client::new(USER_AGENT, probe::http::Http2::Offered);
    let get = HttpGet {
        url: format!("http://{server}/healthz"),
        headers: Vec::new(),
    };
    let http = measure_each("HTTP probe", PROBES, || {
        runtime.block_on(client.probe(&get, TIMEOUT))?;
        Ok(())
    })?;
    let bare_tcp = measure_each("bare connect", PROBES, || {
        TcpStream::connect(server)?;
        Ok(())
    })?;
    let (host, port) = (server.ip().to_string(), i32::from(server.port()));
    let tcp = measure_each("TCP probe", PROBES, || {
        runtime.block_on(probe::tcp::probe(&host, port, TIMEOUT));
        Ok(())
    })?;
    let bare_grpc = measure_each("bare gRPC call", PROBES, || crate::grpc::bare_call(health))?;
    let health_host = health.ip().to_string();
    let grpc = measure_each("gRPC probe", PROBES, || {
        runtime.block_on(probe::grpc::probe(
            &health_host,
            health.port(),
            "",
            USER_AGENT,
            TIMEOUT,
        ));
        Ok(())
    })?;
    let bare_exec = measure_each("bare fork-exec-wait", PROBES / 10, || {
        std::process::Command::new("true").output()?;
        Ok(())
    })?;
    let command = ["true".to_owned()];
    let exec = measure_each("exec probe", PROBES / 10, || {
        runtime.block_on(probe::exec::probe(&command, TIMEOUT))?;
        Ok(())
    })?;
    let pairs = [
        (&bare_http, &http),
        (&bare_tcp, &tcp),
        (&bare_grpc, &grpc),
        (&bare_exec, &exec),
    ];
    Ok(pairs
        .iter()
        .flat_map(|(baseline, probe)| [baseline.line(baseline), probe.line(baseline)])
        .collect())
}

/// Connects, sends a request, and reads the response.
fn bare_http_get(server: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut response = [0; 1024];
    while stream.read(&mut response)? > 0 {}
    Ok(())
}

fn measure_each(
    name: &'static str,
    count: u32,
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Cost> {
    for _ in 0..count / 10 {
        work()?;
    }
    let region = Region::new(crate::ALLOCATOR);
    let before = cpu_time()?;
    for _ in 0..count {
        work()?;
    }
    let used = cpu_time()?.saturating_sub(before);
    let change = region.change();
    let each = |total: usize| total / count as usize;
    Ok(Cost {
        name,
        cpu: used / count,
        allocations: each(change.allocations),
        bytes: each(change.bytes_allocated),
    })
}

/// Returns the CPU time of this process and of its terminated children.
pub(crate) fn cpu_time() -> anyhow::Result<Duration> {
    let mut microseconds = 0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        microseconds +=
            usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    }
    Ok(Duration::from_micros(u64::try_from(microseconds)?))
}
