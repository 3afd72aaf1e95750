//! Cost of one PostgreSQL check as a process: pg_isready, pg-ready, and a minimal C program as the lower bound.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use test_support::postgres::Server;

const ROUNDS: usize = 300;
/// Number of checks in one process.
const CHECKS: u32 = 1_000;

/// Resources of one process: CPU and wall time in microseconds, peak memory in KiB.
struct Usage {
    cpu: f64,
    wall: f64,
    memory: f64,
}

pub(crate) fn measure() -> anyhow::Result<Vec<String>> {
    let Some(bin) = test_support::postgres::programs() else {
        return Ok(Vec::new());
    };
    let Some(pg_ready) = std::env::var_os("PG_READY").map(PathBuf::from) else {
        return Ok(vec![
            "SKIPPED: pg-ready: PG_READY is not set to a static pg-ready (make bench sets it)"
                .to_owned(),
        ]);
    };
    let dir = tempfile::tempdir()?;
    let [Some(lower_bound), Some(launcher)] =
        ["lower_bound", "launch"].map(|name| compile(dir.path(), name))
    else {
        return Ok(vec![
            "SKIPPED: pg-ready: needs a C compiler that links static programs".to_owned(),
        ]);
    };
    let server = Server::start(&bin, "");
    let port = server.port.to_string();
    let options = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
    let pg_isready = bin.join("pg_isready");
    let programs: [(&Path, &[&str]); 3] = [
        (&pg_isready, &options),
        (&pg_ready, &options),
        (&lower_bound, &[&port]),
    ];
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let [peer, own, bound] =
            programs.map(|(program, arguments)| run(&launcher, program, arguments));
        rounds.push([peer?, own?, bound?]);
    }
    let size = std::fs::metadata(&pg_ready)?.len();
    let mut lines = vec![
        ratio_line("pg-ready / pg_isready", &rounds, 1, 0),
        ratio_line("lower bound / pg_isready", &rounds, 2, 0),
        ratio_line("pg-ready / lower bound", &rounds, 1, 2),
        format!(
            "pg-ready is {:.2} MiB, static",
            size as f64 / f64::from(1 << 20)
        ),
    ];
    lines.push(measure_in_one_process(server.port)?);
    Ok(lines)
}

fn compile(dir: &Path, name: &str) -> Option<PathBuf> {
    let program = dir.join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("c")
        .join(name)
        .with_extension("c");
    let status = Command::new("cc")
        .args(["-O2", "-static", "-o"])
        .arg(&program)
        .arg(source)
        .status();
    status
        .is_ok_and(|status| status.success())
        .then_some(program)
}

fn run(launcher: &Path, program: &Path, arguments: &[&str]) -> anyhow::Result<Usage> {
    let output = Command::new(launcher)
        .arg(program)
        .args(arguments)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    match numbers[..] {
        [cpu, wall, memory, 0.0] => Ok(Usage { cpu, wall, memory }),
        _ => anyhow::bail!("{} ended with {text:?}", program.display()),
    }
}

/// Formats the medians of the ratios of consecutive runs.
fn ratio_line(name: &str, rounds: &[[Usage; 3]], numerator: usize, denominator: usize) -> String {
    let ratio = |value: fn(&Usage) -> f64| {
        let mut ratios: Vec<f64> = rounds
            .iter()
            .map(|round| value(&round[numerator]) / value(&round[denominator]).max(1.0))
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    };
    format!(
        "{name:<28} CPU {:.2}, wall {:.2}, peak memory {:.2} (medians of {} pairs)",
        ratio(|run| run.cpu),
        ratio(|run| run.wall),
        ratio(|run| run.memory),
        rounds.len()
    )
}

fn measure_in_one_process(port: u16) -> anyhow::Result<String> {
    let conninfo = format!("host=127.0.0.1 port={port} user=postgres");
    let request = pg_ready::Request::parse(&conninfo).context("the request")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (cpu_before, start) = (crate::cost::cpu_time()?, Instant::now());
    for _ in 0..CHECKS {
        let report = runtime.block_on(pg_ready::check(&request));
        anyhow::ensure!(report.state == pg_ready::State::Accepting, "{report:?}");
    }
    let each = |total: Duration| total.as_secs_f64() * 1e6 / f64::from(CHECKS);
    let (cpu, wall) = (
        crate::cost::cpu_time()?.saturating_sub(cpu_before),
        start.elapsed(),
    );
    Ok(format!(
        "{CHECKS} checks through pg_ready::check: {:.0} µs CPU and {:.0} µs each",
        each(cpu),
        each(wall)
    ))
}
