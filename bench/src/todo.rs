//! What the to-do list costs on top of its database: requests beside the same statements through pgbench.
//!
//! Both have as many connections to the same server and take turns. Whoever asks shares the processors with whoever
//! answers, as pgbench does; what each of them takes is told. On a machine with other work the ratio by processor time is the
//! steadier one: what a full machine would reach.

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
const SECONDS: f64 = 4.0;
const STARTS: usize = 20;
const KILLS: usize = 10;

const ITEMS: &str =
    "TRUNCATE items; INSERT INTO items (text) SELECT 'item ' || n FROM generate_series(1, 100) n";
const LIST: &str = "SELECT id, text, done, created_at FROM items WHERE id < 9223372036854775807 ORDER BY id DESC LIMIT 100;\n";
const ADD: &str = "INSERT INTO items (text, idempotency_key) VALUES ('buy milk', NULL) \
    ON CONFLICT (idempotency_key) DO NOTHING RETURNING id, text, done, created_at;\n";

/// The program under measurement; it ends with this.
struct Service {
    process: Child,
    address: SocketAddr,
    started: Duration,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Service {
    /// Starts it, and waits for the first `200` on `/livez`.
    fn start(program: &Path, database: &str) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let begin = Instant::now();
        let process = Command::new(program)
            .args(["--listen", &address.to_string(), "--database", database])
            .args(["--pool", CONNECTIONS, "--log-level", "warn"])
            .spawn()?;
        let mut service = Self {
            process,
            address,
            started: Duration::ZERO,
        };
        while service.status("GET /livez", "")? != Some(200) {
            anyhow::ensure!(service.process.try_wait()?.is_none(), "todo-web ended");
        }
        service.started = begin.elapsed();
        Ok(service)
    }

    /// The status of an answer; none where nobody listens.
    fn status(&self, request: &str, body: &str) -> anyhow::Result<Option<u16>> {
        let Ok(mut stream) = TcpStream::connect(self.address) else {
            return Ok(None);
        };
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let answer = std::io::read_to_string(stream)?;
        let status = answer.split(' ').nth(1).context("no status")?;
        Ok(Some(status.parse()?))
    }

    /// The processor time that it has taken, in seconds.
    fn cpu(&self) -> anyhow::Result<f64> {
        let mut total = 0.0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let stat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let nanoseconds = stat.split_whitespace().next().context("no time")?;
            total += nanoseconds.parse::<f64>()? / 1e9;
        }
        Ok(total)
    }

    /// A number of KiB from the kernel's file about it.
    fn memory(&self, key: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find(|line| line.starts_with(key));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(number.context("no such line")?.parse::<f64>()? / 1024.0)
    }
}

/// What one run reached, and the processor time in seconds that each request took of everybody.
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

/// The processor time of programs that were run and have ended.
fn children() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6)
}

struct Bench<'a> {
    server: &'a Server,
    service: &'a Service,
    bin: PathBuf,
    folder: tempfile::TempDir,
}

impl Bench<'_> {
    fn file(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// The processor time of the client, the service and the server so far.
    fn cpu(&self) -> anyhow::Result<[f64; 3]> {
        let server = self.server.cpu().as_secs_f64();
        Ok([children()?, self.service.cpu()?, server])
    }

    /// Runs a program that measures, and finds the number after `key` in what it prints.
    fn run(&self, command: &mut Command, key: &str) -> anyhow::Result<Run> {
        let before = self.cpu()?;
        let output = command.stderr(Stdio::null()).output()?;
        let after = self.cpu()?;
        let printed = String::from_utf8(output.stdout)?;
        anyhow::ensure!(!printed.contains("Non-2xx"), "{printed}");
        let number = printed.split(key).nth(1);
        let number = number.and_then(|rest| rest.split_whitespace().next());
        let rate: f64 = number.with_context(|| printed.clone())?.parse()?;
        let each = |who: usize| (after[who] - before[who]) / (rate * SECONDS);
        Ok(Run {
            rate,
            client: each(0),
            service: each(1),
            server: each(2),
        })
    }

    fn pgbench(&self, statement: &Path) -> anyhow::Result<Run> {
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

    fn wrk(&self, path: &str, script: Option<&Path>) -> anyhow::Result<Run> {
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

    /// Both in turn; what each did, and the median of their ratios.
    fn beside(
        &self,
        name: &str,
        path: &str,
        statement: &Path,
        script: Option<&Path>,
    ) -> anyhow::Result<String> {
        let mut rounds = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            self.server.sql(ITEMS);
            let theirs = self.pgbench(statement)?;
            self.server.sql(ITEMS);
            let ours = self.wrk(path, script)?;
            rounds.push((ours, theirs));
        }
        let median = |ratio: fn(&(Run, Run)) -> f64| {
            let mut ratios: Vec<f64> = rounds.iter().map(ratio).collect();
            ratios.sort_by(f64::total_cmp);
            ratios[ROUNDS / 2]
        };
        let us = |part: fn(&(Run, Run)) -> f64| median(part) * 1e6;
        Ok(format!(
            "{name:<28} {:.2} of pgbench's rate ({:.0}/s and {:.0}/s), {:.2} by CPU: each takes {:.0} µs of todo-web, {:.0} of \
             PostgreSQL and {:.0} of wrk; with pgbench {:.0} of PostgreSQL and {:.0} of pgbench (medians of {ROUNDS} pairs)",
            median(|(ours, theirs)| ours.rate / theirs.rate),
            median(|(ours, _)| ours.rate),
            median(|(_, theirs)| theirs.rate),
            median(|(ours, theirs)| theirs.cpu() / ours.cpu()),
            us(|(ours, _)| ours.service),
            us(|(ours, _)| ours.server),
            us(|(ours, _)| ours.client),
            us(|(_, theirs)| theirs.server),
            us(|(_, theirs)| theirs.client),
        ))
    }
}

pub(crate) fn measure() -> anyhow::Result<Vec<String>> {
    let Some(bin) = test_support::postgres::programs() else {
        return Ok(Vec::new());
    };
    let Some(program) = std::env::var_os("TODO_WEB").map(PathBuf::from) else {
        return Ok(vec![
            "SKIPPED: todo-web: TODO_WEB names no todo-web (make bench does)".to_owned(),
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
    // What is acknowledged is on the disk, as on every server that keeps a list for somebody.
    let server = Server::start(&bin, "fsync = on\n");
    let database = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port);
    let mut starts = (0..STARTS)
        .map(|_| Service::start(&program, &database).map(|service| service.started))
        .collect::<anyhow::Result<Vec<_>>>()?;
    starts.sort();
    let service = Service::start(&program, &database)?;
    while service.status("GET /readyz", "")? != Some(200) {}
    let idle = service.memory("VmRSS")?;
    let folder = tempfile::tempdir()?;
    let bench = Bench {
        server: &server,
        service: &service,
        bin,
        folder,
    };
    let (list, add) = (bench.file("list.sql", LIST)?, bench.file("add.sql", ADD)?);
    let post = r#"wrk.method = "POST"; wrk.body = '{"text": "buy milk"}'; wrk.headers["Content-Type"] = "application/json""#;
    let post = bench.file("post.lua", post)?;
    let lines = [
        bench.beside("GET /list, 100 items", "/list", &list, None)?,
        bench.beside("GET /api/todos, 100 items", "/api/todos", &list, None)?,
        bench.beside("POST /api/todos", "/api/todos", &add, Some(&post))?,
    ];
    // Without the disk, what is left is what requests take on top of a statement.
    server.sql("ALTER SYSTEM SET fsync = off");
    server.sql("SELECT pg_reload_conf()");
    let unsafely = bench.beside(
        "POST /api/todos, fsync off",
        "/api/todos",
        &add,
        Some(&post),
    )?;
    let own = [
        unsafely,
        format!(
            "todo-web                     {idle:.1} MiB idle, {:.1} MiB at most under load; first 200 on /livez after {:.1} ms (median of {STARTS})",
            service.memory("VmHWM")?,
            starts[STARTS / 2].as_secs_f64() * 1e3
        ),
        recovery(&server, &service)?,
    ];
    Ok(lines.into_iter().chain(own).collect())
}

/// From the return of a killed server to the first item that is added again.
fn recovery(server: &Server, service: &Service) -> anyhow::Result<String> {
    let mut times = Vec::with_capacity(KILLS);
    for _ in 0..KILLS {
        server.kill();
        // Whoever asks meanwhile is told at once, and does not speed up the return.
        anyhow::ensure!(
            service.status("GET /list", "")? == Some(503),
            "it serves without its database"
        );
        server.start_again();
        let back = Instant::now();
        while service.status("POST /api/todos", r#"{"text": "a"}"#)? != Some(201) {}
        times.push(back.elapsed());
    }
    times.sort();
    Ok(format!(
        "todo-web                     adds items {:.2} s after a killed server is back (median of {KILLS}; at most {:.2} s)",
        times[KILLS / 2].as_secs_f64(),
        times[KILLS - 1].as_secs_f64()
    ))
}
