//! Cost of probe-sidecar beside blackbox_exporter with a scraper, detection time of faults, and schedule delay of ten thousand targets.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::server::Server;

mod http;
mod program;

use program::Program;

/// Duration of the comparison, for each program.
const SECONDS: u64 = 15;
/// Number of faults for the detection time.
const FAULTS: usize = 200;
/// Probe period for the detection time.
const PERIOD: Duration = Duration::from_millis(100);
/// Number of targets for the long run.
const TARGET_COUNT: usize = 10_000;
/// Default duration of the long run; BENCH_SOAK overrides it.
const SOAK_SECONDS: u64 = 600;

pub(crate) fn measure(print: &mut impl FnMut(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let Some(program) = std::env::var_os("PROBE_SIDECAR").map(PathBuf::from) else {
        return print(
            "SKIPPED: probe-sidecar: PROBE_SIDECAR is not set to a release build (make bench sets it)",
        );
    };
    let dir = tempfile::tempdir()?;
    let server = Server::start("serve")?;
    print(&measure_idle(&program, dir.path(), server.address)?)?;
    for count in [100, 1_000] {
        print(&compare_with_blackbox(
            &program,
            dir.path(),
            server.address,
            count,
        )?)?;
    }
    print(&measure_detection(&program, dir.path())?)?;
    print(&soak(&program, dir.path(), server.address)?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "no runtime; the waiting time is measured"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Returns a configuration with `count` targets, alternately HTTP and TCP.
fn config_text(server: SocketAddr, count: usize, period: u64) -> String {
    let (host, port) = (server.ip(), server.port());
    let mut text = "targets:\n".to_owned();
    for index in 0..count {
        let handler = if index % 2 == 0 {
            format!("httpGet: {{host: {host}, port: {port}}}")
        } else {
            format!("tcpSocket: {{host: {host}, port: {port}}}")
        };
        text.push_str(&format!(
            "- {{name: t{index}, livenessProbe: {{{handler}, periodSeconds: {period}, timeoutSeconds: 1}}}}\n"
        ));
    }
    text
}

fn start_sidecar(program: &Path, dir: &Path, text: &str) -> anyhow::Result<Program> {
    let file = dir.join("probes.yaml");
    std::fs::write(&file, text)?;
    let config = file.to_str().context("a path that is not UTF-8")?;
    Program::start(
        program,
        &["--config", config, "--log-level=error"],
        "--listen=",
    )
}

fn measure_idle(program: &Path, dir: &Path, server: SocketAddr) -> anyhow::Result<String> {
    let sidecar = start_sidecar(program, dir, &config_text(server, 2, 10))?;
    pause(Duration::from_secs(3));
    Ok(format!(
        "probe-sidecar with two targets: {:.1} MiB resident",
        sidecar.memory_mib("VmRSS:")?
    ))
}

fn compare_with_blackbox(
    program: &Path,
    dir: &Path,
    server: SocketAddr,
    count: usize,
) -> anyhow::Result<String> {
    let sidecar = start_sidecar(program, dir, &config_text(server, count, 1))?;
    pause(Duration::from_secs(2));
    let before = sidecar.cpu_seconds()?;
    for _ in 0..SECONDS / 5 {
        pause(Duration::from_secs(5));
        http::fetch_status(sidecar.address, "/metrics")?;
    }
    let (cpu, memory) = (
        sidecar.cpu_seconds()? - before,
        sidecar.memory_mib("VmHWM:")?,
    );
    drop(sidecar);
    let name = "prometheus-blackbox-exporter";
    let Some(exporter) = program::find(name) else {
        return Ok(format!(
            "SKIPPED: {name} is not installed; probe-sidecar, {count} targets a second: {:.2} % of a core, {memory:.1} MiB at most",
            cpu / SECONDS as f64 * 100.0
        ));
    };
    let modules = dir.join("modules.yml");
    let text = "modules:\n  http: {prober: http, timeout: 1s}\n  tcp: {prober: tcp, timeout: 1s}\n";
    std::fs::write(&modules, text)?;
    let config = format!("--config.file={}", modules.display());
    let exporter = Program::start(
        &exporter,
        &[&config, "--log.level=error"],
        "--web.listen-address=",
    )?;
    let scraping = http::scrape(
        exporter.address,
        server,
        count,
        Duration::from_secs(SECONDS + 2),
    );
    let (before, answered) = std::thread::scope(|scope| {
        let scraper = scope.spawn(scraping);
        pause(Duration::from_secs(2));
        let before = exporter.cpu_seconds();
        let answered = scraper
            .join()
            .map_err(|_| anyhow::anyhow!("the scraper panicked"));
        anyhow::Ok((before?, answered??))
    })?;
    let (exporter_cpu, exporter_memory) = (
        exporter.cpu_seconds()? - before,
        exporter.memory_mib("VmHWM:")?,
    );
    let percent = |cpu: f64| cpu / SECONDS as f64 * 100.0;
    Ok(format!(
        "{count} targets a second: probe-sidecar {:.2} % of a core, {memory:.1} MiB at most; blackbox_exporter {:.2} %, {exporter_memory:.1} MiB \
         ({answered} successful probes): {:.2} of its CPU time, {:.2} of its memory",
        percent(cpu),
        percent(exporter_cpu),
        cpu / exporter_cpu,
        memory / exporter_memory
    ))
}

/// Measures the time from the closing of a listener to the first `503`, beside the limits of the kubelet with the chapter's settings.
fn measure_detection(program: &Path, dir: &Path) -> anyhow::Result<String> {
    let mut listener = Some(TcpListener::bind("127.0.0.1:0")?);
    let address = listener
        .as_ref()
        .context("the listener was just created")?
        .local_addr()?;
    let text = format!(
        "targets: [{{name: a, livenessProbe: {{tcpSocket: {{port: {}}}, failureThreshold: 2, extensions: {{periodMilliseconds: {}, timeoutMilliseconds: 100}}}}}}]",
        address.port(),
        PERIOD.as_millis()
    );
    let sidecar = start_sidecar(program, dir, &text)?;
    let wait_for_status = |status: u16| -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while http::fetch_status(sidecar.address, "/livez")? != status {
            anyhow::ensure!(
                Instant::now() < deadline,
                "/livez has not responded with {status} within 30 s"
            );
            pause(Duration::from_millis(1));
        }
        Ok(())
    };
    let mut times: Vec<Duration> = Vec::with_capacity(FAULTS);
    for fault in 0..FAULTS {
        wait_for_status(200)?;
        // Spreads faults over the period.
        pause(PERIOD.mul_f64(fault as f64 * 0.618 % 1.0));
        drop(listener.take());
        let start = Instant::now();
        wait_for_status(503)?;
        times.push(start.elapsed());
        listener = Some(rebind(address)?);
    }
    times.sort_unstable();
    let (median, p99) = (times[FAULTS / 2], times[FAULTS * 99 / 100]);
    Ok(format!(
        "fault to 503, every 100 ms, threshold 2: p50 {median:.0?}, p99 {p99:.0?} over {FAULTS} faults; \
         the kubelet with the chapter's settings (every 10 s, threshold 2): 10 s to 21 s"
    ))
}

/// Binds the port again, which fails while its last connections are closing.
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

fn soak(program: &Path, dir: &Path, server: SocketAddr) -> anyhow::Result<String> {
    let soak = std::env::var("BENCH_SOAK").ok();
    let soak = soak.map_or(Ok(SOAK_SECONDS), |seconds| seconds.parse())?;
    let sidecar = start_sidecar(program, dir, &config_text(server, TARGET_COUNT, 10))?;
    let mut sizes = Vec::new();
    for _ in 0..6 {
        pause(Duration::from_secs(soak / 6));
        sizes.push(format!("{:.0}", sidecar.memory_mib("VmRSS:")?));
    }
    let delay = http::schedule_delay(sidecar.address)?;
    Ok(format!(
        "{TARGET_COUNT} targets every ten seconds for {soak} s: {} MiB resident over time; schedule delay p99 at most {delay}; {:.1} % of a core",
        sizes.join(", "),
        sidecar.cpu_seconds()? / soak as f64 * 100.0
    ))
}
