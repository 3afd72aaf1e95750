//! What one check of PostgreSQL costs as a whole process: pg_isready, pg-ready, and the least that a C program can do.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use test_support::postgres::Server;

const ROUNDS: usize = 300;
const IN_ONE_PROCESS: u32 = 1_000;

/// What one run took.
struct Run {
    cpu: f64,
    wall: f64,
    memory: f64,
}

pub(crate) fn measure() -> anyhow::Result<Vec<String>> {
    let Some(bin) = test_support::postgres::programs() else {
        return Ok(Vec::new());
    };
    let Some(ours) = std::env::var_os("PG_READY").map(PathBuf::from) else {
        return Ok(vec![
            "SKIPPED: pg-ready: PG_READY names no static pg-ready (make bench does)".to_owned(),
        ]);
    };
    let folder = tempfile::tempdir()?;
    let [Some(limit), Some(launch)] = ["limit", "launch"].map(|name| compile(folder.path(), name))
    else {
        return Ok(vec![
            "SKIPPED: pg-ready: needs a C compiler that links static programs".to_owned(),
        ]);
    };
    let server = Server::start(&bin, "");
    let port = server.port.to_string();
    let options = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
    let theirs = bin.join("pg_isready");
    let programs: [(&Path, &[&str]); 3] =
        [(&theirs, &options), (&ours, &options), (&limit, &[&port])];
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let [theirs, ours, limit] =
            programs.map(|(program, arguments)| run(&launch, program, arguments));
        rounds.push([theirs?, ours?, limit?]);
    }
    let size = std::fs::metadata(&ours)?.len();
    let mut lines = vec![
        line("pg-ready of pg_isready", &rounds, 1, 0),
        line("the C limit of pg_isready", &rounds, 2, 0),
        line("pg-ready of the C limit", &rounds, 1, 2),
        format!(
            "pg-ready is {:.2} MiB, static",
            size as f64 / f64::from(1 << 20)
        ),
    ];
    lines.push(in_one_process(server.port)?);
    Ok(lines)
}

fn compile(folder: &Path, name: &str) -> Option<PathBuf> {
    let program = folder.join(name);
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

fn run(launch: &Path, program: &Path, arguments: &[&str]) -> anyhow::Result<Run> {
    let output = Command::new(launch).arg(program).args(arguments).output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    match numbers[..] {
        [cpu, wall, memory, 0.0] => Ok(Run { cpu, wall, memory }),
        _ => anyhow::bail!("{} ended with {text:?}", program.display()),
    }
}

/// Medians of the ratios of runs that followed each other.
fn line(name: &str, rounds: &[[Run; 3]], ours: usize, theirs: usize) -> String {
    let ratio = |value: fn(&Run) -> f64| {
        let mut ratios: Vec<f64> = rounds
            .iter()
            .map(|round| value(&round[ours]) / value(&round[theirs]).max(1.0))
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

fn in_one_process(port: u16) -> anyhow::Result<String> {
    let conninfo = format!("host=127.0.0.1 port={port} user=postgres");
    let request = pg_ready::Request::parse(&conninfo).context("the request")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (cpu, start) = (crate::cost::cpu()?, Instant::now());
    for _ in 0..IN_ONE_PROCESS {
        let report = runtime.block_on(pg_ready::check(&request));
        anyhow::ensure!(report.state == pg_ready::State::Accepting, "{report:?}");
    }
    let each = |total: Duration| total.as_secs_f64() * 1e6 / f64::from(IN_ONE_PROCESS);
    let (cpu, wall) = (crate::cost::cpu()?.saturating_sub(cpu), start.elapsed());
    Ok(format!(
        "{IN_ONE_PROCESS} checks through pg_ready::check: {:.0} µs CPU and {:.0} µs each",
        each(cpu),
        each(wall)
    ))
}
