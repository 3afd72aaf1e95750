//! What probing costs in a sidecar that keeps its own clock, beside blackbox_exporter asked by a scraper; how soon a fault
//! is told of; and whether ten thousand targets stay on time.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::server::Server;

mod http;
mod program;

use program::Program;

/// How long each of the two is measured.
const SECONDS: u64 = 15;
const FAULTS: usize = 200;
const PERIOD: Duration = Duration::from_millis(100);
const CROWD: usize = 10_000;
/// How long the crowd is watched, unless BENCH_SOAK says otherwise.
const SOAK: u64 = 600;

pub(crate) fn measure(print: &mut impl FnMut(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let Some(ours) = std::env::var_os("PROBE_SIDECAR").map(PathBuf::from) else {
        return print(
            "SKIPPED: probe-sidecar: PROBE_SIDECAR names no release build (make bench does)",
        );
    };
    let folder = tempfile::tempdir()?;
    let server = Server::start("serve")?;
    print(&idle(&ours, folder.path(), server.address)?)?;
    for count in [100, 1_000] {
        print(&beside(&ours, folder.path(), server.address, count)?)?;
    }
    print(&faults(&ours, folder.path())?)?;
    print(&crowd(&ours, folder.path(), server.address)?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no runtime here, and time is what is measured"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// As many targets as asked for, HTTP and TCP by turns.
fn probes(server: SocketAddr, count: usize, period: u64) -> String {
    let (host, port) = (server.ip(), server.port());
    let mut text = "targets:\n".to_owned();
    for at in 0..count {
        let handler = if at % 2 == 0 {
            format!("httpGet: {{host: {host}, port: {port}}}")
        } else {
            format!("tcpSocket: {{host: {host}, port: {port}}}")
        };
        text.push_str(&format!(
            "- {{name: t{at}, livenessProbe: {{{handler}, periodSeconds: {period}, timeoutSeconds: 1}}}}\n"
        ));
    }
    text
}

fn sidecar(ours: &Path, folder: &Path, text: &str) -> anyhow::Result<Program> {
    let file = folder.join("probes.yaml");
    std::fs::write(&file, text)?;
    let config = file.to_str().context("a path that is no text")?;
    Program::start(
        ours,
        &["--config", config, "--log-level=error"],
        "--listen=",
    )
}

fn idle(ours: &Path, folder: &Path, server: SocketAddr) -> anyhow::Result<String> {
    let program = sidecar(ours, folder, &probes(server, 2, 10))?;
    pause(Duration::from_secs(3));
    Ok(format!(
        "probe-sidecar with two targets: {:.1} MiB resident",
        program.memory("VmRSS:")?
    ))
}

fn beside(ours: &Path, folder: &Path, server: SocketAddr, count: usize) -> anyhow::Result<String> {
    let program = sidecar(ours, folder, &probes(server, count, 1))?;
    pause(Duration::from_secs(2));
    let before = program.cpu()?;
    for _ in 0..SECONDS / 5 {
        pause(Duration::from_secs(5));
        http::get(program.address, "/metrics")?;
    }
    let (cpu, memory) = (program.cpu()? - before, program.memory("VmHWM:")?);
    drop(program);
    let name = "prometheus-blackbox-exporter";
    let Some(theirs) = program::find(name) else {
        return Ok(format!(
            "SKIPPED: {name} is not installed; probe-sidecar, {count} targets a second: {:.2} % of a core, {memory:.1} MiB at most",
            cpu / SECONDS as f64 * 100.0
        ));
    };
    let modules = folder.join("modules.yml");
    let text = "modules:\n  http: {prober: http, timeout: 1s}\n  tcp: {prober: tcp, timeout: 1s}\n";
    std::fs::write(&modules, text)?;
    let config = format!("--config.file={}", modules.display());
    let other = Program::start(
        &theirs,
        &[&config, "--log.level=error"],
        "--web.listen-address=",
    )?;
    let scraping = http::scrape(
        other.address,
        server,
        count,
        Duration::from_secs(SECONDS + 2),
    );
    let (before, asked) = std::thread::scope(|scope| {
        let scraper = scope.spawn(scraping);
        pause(Duration::from_secs(2));
        let before = other.cpu();
        let asked = scraper
            .join()
            .map_err(|_| anyhow::anyhow!("the scraper panicked"));
        anyhow::Ok((before?, asked??))
    })?;
    let (their_cpu, their_memory) = (other.cpu()? - before, other.memory("VmHWM:")?);
    let percent = |cpu: f64| cpu / SECONDS as f64 * 100.0;
    Ok(format!(
        "{count} targets a second: probe-sidecar {:.2} % of a core, {memory:.1} MiB at most; blackbox_exporter {:.2} %, {their_memory:.1} MiB \
         ({asked} probes): {:.2} of its CPU time, {:.2} of its memory",
        percent(cpu),
        percent(their_cpu),
        cpu / their_cpu,
        memory / their_memory
    ))
}

/// From the end of a listener to the first `503`, and what the chapter's settings need at least and at most.
fn faults(ours: &Path, folder: &Path) -> anyhow::Result<String> {
    let mut listener = Some(TcpListener::bind("127.0.0.1:0")?);
    let address = listener.as_ref().context("just made")?.local_addr()?;
    let text = format!(
        "targets: [{{name: a, livenessProbe: {{tcpSocket: {{port: {}}}, failureThreshold: 2, extensions: {{periodMilliseconds: {}, timeoutMilliseconds: 100}}}}}}]",
        address.port(),
        PERIOD.as_millis()
    );
    let program = sidecar(ours, folder, &text)?;
    let until = |status: u16| -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while http::get(program.address, "/livez")? != status {
            anyhow::ensure!(Instant::now() < deadline, "/livez never said {status}");
            pause(Duration::from_millis(1));
        }
        Ok(())
    };
    let mut took: Vec<Duration> = Vec::with_capacity(FAULTS);
    for fault in 0..FAULTS {
        until(200)?;
        // Faults fall on every part of the period.
        pause(PERIOD.mul_f64(fault as f64 * 0.618 % 1.0));
        drop(listener.take());
        let start = Instant::now();
        until(503)?;
        took.push(start.elapsed());
        listener = Some(rebind(address)?);
    }
    took.sort_unstable();
    let (middle, late) = (took[FAULTS / 2], took[FAULTS * 99 / 100]);
    Ok(format!(
        "fault to 503, every 100 ms, threshold 2: p50 {middle:.0?}, p99 {late:.0?} over {FAULTS} faults; \
         the kubelet with the chapter's settings (every 10 s, threshold 2): 10 s to 21 s"
    ))
}

/// The port's last connections may be on their way out.
fn rebind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) if Instant::now() >= deadline => return Err(error.into()),
            Err(_) => pause(Duration::from_millis(5)),
        }
    }
}

fn crowd(ours: &Path, folder: &Path, server: SocketAddr) -> anyhow::Result<String> {
    let soak = std::env::var("BENCH_SOAK").ok();
    let soak = soak.map_or(Ok(SOAK), |seconds| seconds.parse())?;
    let program = sidecar(ours, folder, &probes(server, CROWD, 10))?;
    let mut sizes = Vec::new();
    for _ in 0..6 {
        pause(Duration::from_secs(soak / 6));
        sizes.push(format!("{:.0}", program.memory("VmRSS:")?));
    }
    let late = http::schedule_delay(program.address)?;
    Ok(format!(
        "{CROWD} targets every ten seconds for {soak} s: {} MiB resident over time; schedule delay p99 at most {late}; {:.1} % of a core",
        sizes.join(", "),
        program.cpu()? / soak as f64 * 100.0
    ))
}
