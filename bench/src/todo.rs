//! Cost of the to-do list in addition to its database: requests beside the same statements through pgbench.
//!
//! Both use the same number of connections to the same server, alternately. Clients and servers share the processors, as with pgbench;
//! the report shows the CPU time of each. On a busy host the ratio by CPU time varies less than the ratio by rate: it is the ratio that a
//! fully loaded host reaches.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use test_support::postgres::Server;

const CONNECTIONS: &str = "8";
const ROUNDS: usize = 5;
/// Duration of one run.
const SECONDS: f64 = 4.0;
/// Number of starts for the start-up time.
const STARTS: usize = 20;
/// Number of server crashes for the recovery time.
const KILLS: usize = 10;

const ITEMS: &str =
    "TRUNCATE items; INSERT INTO items (text) SELECT 'item ' || n FROM generate_series(1, 100) n";
const LIST: &str = "SELECT id, text, done, created_at FROM items WHERE id < 9223372036854775807 ORDER BY id DESC LIMIT 100;\n";
const ADD: &str = "INSERT INTO items (text, idempotency_key) VALUES ('buy milk', NULL) \
    ON CONFLICT (idempotency_key) DO NOTHING RETURNING id, text, done, created_at;\n";

/// todo-web under measurement; dropping it kills the process.
struct Service {
    process: Child,
    address: SocketAddr,
    start_up: Duration,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Service {
    /// Starts todo-web, and waits for the first `200` on `/livez`.
    fn start(program: &Path, database: &str) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let started_at = Instant::now();
        let process = Command::new(program)
            .args(["--listen", &address.to_string(), "--database", database])
            .args(["--pool", CONNECTIONS, "--log-level", "warn"])
            .spawn()?;
        let mut service = Self {
            process,
            address,
            start_up: Duration::ZERO,
        };
        while service.fetch_status("GET /livez", "")? != Some(200) {
            anyhow::ensure!(service.process.try_wait()?.is_none(), "todo-web has exited");
        }
        service.start_up = started_at.elapsed();
        Ok(service)
    }

    /// Returns the status code of a response, or `None` if the connection is refused.
    fn fetch_status(&self, request: &str, body: &str) -> anyhow::Result<Option<u16>> {
        let Ok(mut stream) = TcpStream::connect(self.address) else {
            return Ok(None);
        };
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let response = std::io::read_to_string(stream)?;
        let status = response
            .split(' ')
            .nth(1)
            .context("the response has no status")?;
        Ok(Some(status.parse()?))
    }

    /// Returns the CPU time in seconds.
    fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let mut total = 0.0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let stat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let nanoseconds = stat
                .split_whitespace()
                .next()
                .context("schedstat has no time")?;
            total += nanoseconds.parse::<f64>()? / 1e9;
        }
        Ok(total)
    }

    /// Returns a memory field of `/proc/PID/status` in MiB.
    fn memory_mib(&self, key: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find(|line| line.starts_with(key));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(number
            .context("/proc/PID/status lacks the field")?
            .parse::<f64>()?
            / 1024.0)
    }
}

/// Requests per second of one run, and CPU time in seconds of each process for one request.
struct Run {
    rate: f64,
    client: f64,
    service: f64,
    server: f64,
}

impl Run {
    fn cpu(&self) -> f64 {
        self.client + self.service + self.server
    }
}

/// Returns the CPU time of terminated child processes in seconds.
fn child_cpu_seconds() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6)
}

struct Bench<'a> {
    server: &'a Server,
    service: &'a Service,
    bin: PathBuf,
    dir: tempfile::TempDir,
}

impl Bench<'_> {
    fn write_file(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Returns the CPU time in seconds of client, service and server.
    fn cpu_seconds(&self) -> anyhow::Result<[f64; 3]> {
        let server = self.server.cpu().as_secs_f64();
        Ok([child_cpu_seconds()?, self.service.cpu_seconds()?, server])
    }

    /// Runs a load generator, and reads the rate after `key` in its output.
    fn run(&self, command: &mut Command, key: &str) -> anyhow::Result<Run> {
        let before = self.cpu_seconds()?;
        let output = command.stderr(Stdio::null()).output()?;
        let after = self.cpu_seconds()?;
        let printed = String::from_utf8(output.stdout)?;
        anyhow::ensure!(!printed.contains("Non-2xx"), "{printed}");
        let number = printed.split(key).nth(1);
        let number = number.and_then(|rest| rest.split_whitespace().next());
        let rate: f64 = number.with_context(|| printed.clone())?.parse()?;
        let each = |process: usize| (after[process] - before[process]) / (rate * SECONDS);
        Ok(Run {
            rate,
            client: each(0),
            service: each(1),
            server: each(2),
        })
    }

    fn run_pgbench(&self, statement: &Path) -> anyhow::Result<Run> {
        let port = self.server.port.to_string();
        let mut command = Command::new(self.bin.join("pgbench"));
        command.args([
            "-n",
            "-M",
            "prepared",
            "-c",
            CONNECTIONS,
            "-j",
            "1",
            "-T",
            &SECONDS.to_string(),
        ]);
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-f"]);
        self.run(command.arg(statement).arg("postgres"), "tps = ")
    }

    fn run_wrk(&self, path: &str, script: Option<&Path>) -> anyhow::Result<Run> {
        let mut command = Command::new("wrk");
        command.args(["-t", "1", "-c", CONNECTIONS, "-d", &SECONDS.to_string()]);
        if let Some(script) = script {
            command.arg("-s").arg(script);
        }
        self.run(
            command.arg(format!("http://{}{path}", self.service.address)),
            "Requests/sec:",
        )
    }

    /// Runs both load generators alternately, and formats medians of their rates, CPU times and ratios.
    fn compare(
        &self,
        name: &str,
        path: &str,
        statement: &Path,
        script: Option<&Path>,
    ) -> anyhow::Result<String> {
        let mut rounds = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            self.server.sql(ITEMS);
            let pgbench = self.run_pgbench(statement)?;
            self.server.sql(ITEMS);
            let wrk = self.run_wrk(path, script)?;
            rounds.push((wrk, pgbench));
        }
        let median = |ratio: fn(&(Run, Run)) -> f64| {
            let mut ratios: Vec<f64> = rounds.iter().map(ratio).collect();
            ratios.sort_by(f64::total_cmp);
            ratios[ROUNDS / 2]
        };
        let microseconds = |part: fn(&(Run, Run)) -> f64| median(part) * 1e6;
        Ok(format!(
            "{name:<28} {:.2} of pgbench's rate ({:.0}/s and {:.0}/s), {:.2} by CPU: each takes {:.0} µs of todo-web, {:.0} of \
             PostgreSQL and {:.0} of wrk; with pgbench {:.0} of PostgreSQL and {:.0} of pgbench (medians of {ROUNDS} pairs)",
            median(|(wrk, pgbench)| wrk.rate / pgbench.rate),
            median(|(wrk, _)| wrk.rate),
            median(|(_, pgbench)| pgbench.rate),
            median(|(wrk, pgbench)| pgbench.cpu() / wrk.cpu()),
            microseconds(|(wrk, _)| wrk.service),
            microseconds(|(wrk, _)| wrk.server),
            microseconds(|(wrk, _)| wrk.client),
            microseconds(|(_, pgbench)| pgbench.server),
            microseconds(|(_, pgbench)| pgbench.client),
        ))
    }
}

pub(crate) fn measure() -> anyhow::Result<Vec<String>> {
    let Some(bin) = test_support::postgres::programs() else {
        return Ok(Vec::new());
    };
    let Some(program) = std::env::var_os("TODO_WEB").map(PathBuf::from) else {
        return Ok(vec![
            "SKIPPED: todo-web: TODO_WEB is not set to a todo-web (make bench sets it)".to_owned(),
        ]);
    };
    if Command::new("wrk")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        return Ok(vec![
            "SKIPPED: todo-web: needs wrk: apt-get install wrk".to_owned(),
        ]);
    }
    // Acknowledged writes are durable, as on a production server.
    let server = Server::start(&bin, "fsync = on\n");
    let database = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let mut starts = (0..STARTS)
        .map(|_| Service::start(&program, &database).map(|service| service.start_up))
        .collect::<anyhow::Result<Vec<_>>>()?;
    starts.sort();
    let service = Service::start(&program, &database)?;
    while service.fetch_status("GET /readyz", "")? != Some(200) {}
    let idle = service.memory_mib("VmRSS")?;
    let dir = tempfile::tempdir()?;
    let bench = Bench {
        server: &server,
        service: &service,
        bin,
        dir,
    };
    let (list, add) = (
        bench.write_file("list.sql", LIST)?,
        bench.write_file("add.sql", ADD)?,
    );
    let post = r#"wrk.method = "POST"; wrk.body = '{"text": "buy milk"}'; wrk.headers["Content-Type"] = "application/json""#;
    let post = bench.write_file("post.lua", post)?;
    let lines = [
        bench.compare("GET /list, 100 items", "/list", &list, None)?,
        bench.compare("GET /api/todos, 100 items", "/api/todos", &list, None)?,
        bench.compare("POST /api/todos", "/api/todos", &add, Some(&post))?,
    ];
    // Without disk writes the difference is the cost of the request itself.
    server.sql("ALTER SYSTEM SET fsync = off");
    server.sql("SELECT pg_reload_conf()");
    let without_fsync = bench.compare(
        "POST /api/todos, fsync off",
        "/api/todos",
        &add,
        Some(&post),
    )?;
    let more = [
        without_fsync,
        format!(
            "todo-web                     {idle:.1} MiB idle, {:.1} MiB at most under load; first 200 on /livez after {:.1} ms (median of {STARTS})",
            service.memory_mib("VmHWM")?,
            starts[STARTS / 2].as_secs_f64() * 1e3
        ),
        measure_recovery(&server, &service)?,
    ];
    Ok(lines.into_iter().chain(more).collect())
}

/// Measures the time from the restart of a killed server to the first item that is added.
fn measure_recovery(server: &Server, service: &Service) -> anyhow::Result<String> {
    let mut times = Vec::with_capacity(KILLS);
    for _ in 0..KILLS {
        server.kill();
        // Requests during the outage fail immediately, and do not accelerate the reconnect.
        anyhow::ensure!(
            service.fetch_status("GET /list", "")? == Some(503),
            "/list has not responded with 503 during the outage"
        );
        server.start_again();
        let restarted_at = Instant::now();
        while service.fetch_status("POST /api/todos", r#"{"text": "a"}"#)? != Some(201) {}
        times.push(restarted_at.elapsed());
    }
    times.sort();
    Ok(format!(
        "todo-web                     adds items {:.2} s after the restart of a killed server (median of {KILLS}; at most {:.2} s)",
        times[KILLS / 2].as_secs_f64(),
        times[KILLS - 1].as_secs_f64()
    ))
}
