//! The real pg_isready and ours, side by side, against real servers and hostile listeners: the same exit code and the
//! same line of output in every situation.
//!
//! Needs PostgreSQL's own programs; skipped with a word where they are missing.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::path::Path;
use std::process::{Command, Output};

mod listener;
mod odd;

use listener::{Listener, Script};
use test_support::postgres::Server;

/// One run: options and environment, blank-separated, with `{host}`, `{port}` … replaced.
struct Situation {
    arguments: String,
    environment: Vec<(String, String)>,
}

fn situation(arguments: &str) -> Situation {
    Situation {
        arguments: arguments.to_owned(),
        environment: Vec::new(),
    }
}

impl Situation {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}

fn run(program: &Path, situation: &Situation) -> Output {
    let environment = situation
        .environment
        .iter()
        .map(|(name, value)| (name, value));
    Command::new(program)
        .args(words(&situation.arguments))
        .env_clear()
        .envs(environment)
        .output()
        .unwrap()
}

/// Splits at blanks; `_` stands for a blank inside a word, `""` for an empty word.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| {
            if word == "\"\"" {
                String::new()
            } else {
                word.replace('_', " ")
            }
        })
        .collect()
}

#[track_caller]
fn same(bin: &Path, situations: &[Situation]) {
    let folder = tempfile::tempdir().unwrap();
    let installed = folder.path().join("pg_isready");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pg-ready"), &installed).unwrap();
    let mut different = Vec::new();
    for situation in situations {
        let theirs = run(&bin.join("pg_isready"), situation);
        let ours = run(&installed, situation);
        let seen = |output: &Output| {
            (
                output.status.code(),
                String::from_utf8_lossy(&output.stdout).into_owned(),
            )
        };
        if seen(&theirs) != seen(&ours) {
            different.push(format!(
                "{} {:?}\n  pg_isready {:?} {}\n  pg-ready   {:?} {}",
                situation.arguments,
                situation.environment,
                seen(&theirs),
                String::from_utf8_lossy(&theirs.stderr).trim(),
                seen(&ours),
                String::from_utf8_lossy(&ours.stderr).trim(),
            ));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {} differ:\n{}",
        different.len(),
        situations.len(),
        different.join("\n")
    );
}

#[test]
fn agrees_on_an_accepting_server() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let (port, folder) = (server.port, server.folder().display().to_string());
    let lines = [
        "-h 127.0.0.1 -p {port}",
        "-h localhost -p {port}",
        "-h {folder} -p {port}",
        "--host={folder} --port={port}",
        "--hos 127.0.0.1 --por {port}",
        "-h127.0.0.1 -p{port} -q",
        "-qh 127.0.0.1 -p {port}",
        "-h 127.0.0.1 -p {port} -U nobody_here",
        "-h 127.0.0.1 -p {port} -U postgres -d missing",
        "-h 127.0.0.1 -p {port} -d postgres -t 5",
        "-h 127.0.0.1 -p {port} -t 0",
        "-h 127.0.0.1 -p {port} -t -1",
        "-h 127.0.0.1 -p {port} -t x",
        "-h 127.0.0.1 -p {port} -t 1",
        "-h 127.0.0.1 -p {port} -t 2x",
        "-h 127.0.0.1 -p {port} -t 99999999999",
        "-h 127.0.0.1 -p {port} -t \"\"",
        "-d host=127.0.0.1_port={port}",
        "-d postgresql://127.0.0.1:{port}",
        "-d postgres://someone:secret@127.0.0.1:{port}/db",
        "-d postgresql://%2Fnowhere?host={folder}&port={port}",
        "-d postgresql:///db?host={folder}&port={port}",
        "-d postgresql://127.0.0.1:{port},127.0.0.1:1/db",
        "-d postgresql://127.0.0.1:1,127.0.0.1:{port}/db",
        "-d postgresql://localhost:{port}/?sslmode=disable",
        "-d postgresql://127.0.0.1:{port}/?sslmode=require",
        "-d postgresql://127.0.0.1:{port}/?sslmode=nonsense",
        "-d hostaddr=127.0.0.1_port={port}",
        "-d hostaddr=127.0.0.1_host=name_port={port}",
        "-d hostaddr=nonsense_port={port}",
        "-h wrong -p 1 -d host=127.0.0.1_port={port}",
        "-h 127.0.0.1 -p {port} -d user=x",
        "-h 127.0.0.1,127.0.0.1 -p {port}",
        "-h 127.0.0.1,127.0.0.1 -p 1,{port}",
        "-h 127.0.0.1,127.0.0.1 -p 1,2,3",
        "-h 127.0.0.1 -p 1,2",
        "-h 127.0.0.1 -p {port},",
        "-h {folder},127.0.0.1 -p 1,{port}",
        "-h \"\" -p {port}",
        "-d host={folder}_port={port}_target_session_attrs=standby",
        "-d host={folder}_port={port}_target_session_attrs=nonsense",
        "-d host={folder}_port={port}_connect_timeout=nonsense",
        "-d host={folder}_port={port}_application_name=x",
        "-d host={folder}_port={port}_channel_binding=require",
        "-d host={folder}_port={port}_gssencmode=nonsense",
        "-d port={port} -h 127.0.0.1",
        "-d host=127.0.0.1 -p {port}",
        "-d host='127.0.0.1'_port='{port}'",
        "-d host_=_127.0.0.1_port_=_{port}",
    ];
    let fill = |text: &str| {
        text.replace("{port}", &port.to_string())
            .replace("{folder}", &folder)
    };
    let mut situations: Vec<_> = lines.iter().map(|line| situation(&fill(line))).collect();
    let with = |line: &str, name: &str, value: &str| situation(&fill(line)).env(name, &fill(value));
    situations.extend([
        with("-p {port}", "PGHOST", "127.0.0.1"),
        with("-p {port}", "PGHOST", "{folder}"),
        with("-h 127.0.0.1", "PGPORT", "{port}"),
        with("-h 127.0.0.1", "PGPORT", "nonsense"),
        with("-h 127.0.0.1 -p {port}", "PGPORT", "1"),
        with("-h 127.0.0.1 -p {port}", "PGHOST", "wrong"),
        with("-p {port}", "PGHOSTADDR", "127.0.0.1"),
        with("-h name -p {port}", "PGHOSTADDR", "127.0.0.1"),
        with("-h 127.0.0.1 -p {port}", "PGUSER", "someone"),
        with("-h 127.0.0.1 -p {port}", "PGDATABASE", "missing"),
        with("-h 127.0.0.1 -p {port}", "PGSSLMODE", "require"),
        with("-h 127.0.0.1 -p {port}", "PGSSLMODE", "nonsense"),
        with("-h 127.0.0.1 -p {port}", "PGCONNECT_TIMEOUT", "nonsense"),
        with("-h 127.0.0.1 -p {port}", "PGTARGETSESSIONATTRS", "primary"),
        with("-h 127.0.0.1 -p {port}", "PGTARGETSESSIONATTRS", "nonsense"),
        with("-h 127.0.0.1 -p {port}", "PGAPPNAME", "x"),
        with("-h 127.0.0.1 -p {port}", "PGCHANNELBINDING", "nonsense"),
        with("", "PGHOST", ""),
    ]);
    same(&bin, &situations);
}

#[test]
fn agrees_on_services() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pg_service.conf");
    let text = format!(
        "# ours\n[up]\nhost=127.0.0.1\nport={0}\n\n[twice]\nport={0}\nport=1\nhost=127.0.0.1\n[bad]\nnonsense\n\
         [unknown]\nnonsense=1\n[nested]\nservice=up\n[down]\nhost=127.0.0.1\nport=1\n",
        server.port
    );
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let mut situations = Vec::new();
    for service in [
        "up", "twice", "bad", "unknown", "nested", "down", "missing", "",
    ] {
        let named = |situation: Situation| {
            [
                situation_with(&situation, "PGSERVICEFILE", &file),
                situation_with(
                    &situation,
                    "PGSYSCONFDIR",
                    &folder.path().display().to_string(),
                ),
            ]
        };
        situations.extend(named(situation("").env("PGSERVICE", service)));
        situations.extend(named(situation("-p 1").env("PGSERVICE", service)));
        situations.extend(named(situation(&format!("-d service={service}"))));
    }
    let overridden = situation("-d service=down").env("PGSERVICE", "up");
    situations.push(overridden.env("PGSERVICEFILE", &file));
    same(&bin, &situations);
}

fn situation_with(situation: &Situation, name: &str, value: &str) -> Situation {
    Situation {
        arguments: situation.arguments.clone(),
        environment: situation.environment.clone(),
    }
    .env(name, value)
}

#[test]
fn agrees_where_nothing_can_be_tried_or_nobody_answers() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let lines = [
        "-h 127.0.0.1 -p 1",
        "-h ::1 -p 1",
        "-h [::1] -p 1",
        "-h nowhere.invalid",
        "-h /nowhere",
        "-h /nowhere -p 7",
        "-h @nowhere",
        "-h /a/very/long/folder/name/that/no/socket/address/has/room/for/because/it/goes/on/and/on/past/one/hundred/bytes",
        "-p 0 -h 127.0.0.1",
        "-p 65536 -h 127.0.0.1",
        "-p -1 -h 127.0.0.1",
        "-p x -h 127.0.0.1",
        "-x",
        "--nope",
        "--h=a",
        "--he",
        "-q --help",
        "-q -V",
        "-q -?",
        "-p",
        "extra",
        "-h 127.0.0.1 -p 1 extra",
        "-- extra",
        "-q extra",
        "--quiet=yes",
        "-d host",
        "-d nope=1",
        "-d host='unfinished",
        "-d postgresql://[::1",
        "-d postgresql://[::1]:1",
        "-d postgresql://[]",
        "-d postgresql://h?nope=1",
        "-d postgresql://h?host",
        "-d postgresql://h?host=a=b",
        "-d postgresql://a%zz",
        "-d postgresql://a%00",
        "-d postgresql://127.0.0.1:x",
        "-d postgresql://127.0.0.1:1/?port=2",
        "-d postgres://127.0.0.1:1",
        "-q -h 127.0.0.1 -p 1",
        "-d hostaddr=127.0.0.1,127.0.0.1_host=a_port=1",
    ];
    same(
        &bin,
        &lines.iter().map(|line| situation(line)).collect::<Vec<_>>(),
    );
}

#[test]
fn agrees_on_a_server_that_rejects_everyone() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start_in_recovery(&bin);
    let port = server.port;
    let lines = [
        format!("-h 127.0.0.1 -p {port}"),
        format!("-q -h 127.0.0.1 -p {port}"),
        format!("-h 127.0.0.1,127.0.0.1 -p {port},1"),
        format!("-h 127.0.0.1,127.0.0.1 -p 1,{port}"),
        format!("-h {} -p {port}", server.folder().display()),
    ];
    same(
        &bin,
        &lines.iter().map(|line| situation(line)).collect::<Vec<_>>(),
    );
}

#[test]
fn agrees_on_a_server_that_is_stopped_full_or_demands_more() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let full = Server::start(
        &bin,
        "max_connections = 1\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0\n",
    );
    let _held = hold_a_connection(&full);
    same(
        &bin,
        &[situation(&format!(
            "-h 127.0.0.1 -p {} -U someone",
            full.port
        ))],
    );

    let strict = Server::start_with_hba(&bin, "hostssl all all all scram-sha-256\n");
    same(
        &bin,
        &[situation(&format!("-h 127.0.0.1 -p {}", strict.port))],
    );

    let scram = Server::start_with_hba(&bin, "host all all all scram-sha-256\n");
    same(
        &bin,
        &[situation(&format!("-h 127.0.0.1 -p {}", scram.port))],
    );

    scram.freeze();
    same(
        &bin,
        &[situation(&format!("-h 127.0.0.1 -p {} -t 2", scram.port))],
    );
    scram.thaw();
}

#[test]
fn agrees_on_listeners_that_are_no_servers() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let scripts = [
        Script::Silent,
        Script::CloseAtOnce,
        Script::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Script::NoTlsThen(b"X"),
        Script::NoTlsThen(b"R\0\0\0\x08\0\0\0\0"),
        Script::NoTlsThen(b"R\0\0\0\x08\0\0\0\x05salt"),
        Script::NoTlsThen(b"R\0\0\0\x07"),
        Script::NoTlsThen(b"R\x7f\xff\xff\xff"),
        Script::NoTlsThen(b"E\x7f\xff\xff\xff"),
        Script::NoTlsThen(b"N\0\0\0\x15SNOTICE\0Mhello\0\0"),
        Script::NoTlsThen(b"E\0\0\0\x1aSFATAL\0C57P03\0Mno\0\0\0\0"),
        Script::NoTlsThen(b"E\0\0\0\x18SFATAL\0C28000\0Mno\0\0"),
        Script::NoTlsThenSlowly(b"R\0\0\0\x08\0\0\0\0"),
        Script::NoTlsThen(b"R\0\0"),
        Script::NoTlsThen(b""),
    ];
    for script in scripts {
        let listener = Listener::start(script);
        eprintln!("{script:?}");
        same(
            &bin,
            &[situation(&format!(
                "-h 127.0.0.1 -p {} -t 2",
                listener.port
            ))],
        );
    }
}

/// A session that takes one of its slots until it is dropped.
fn hold_a_connection(server: &Server) -> std::net::TcpStream {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream
        .write_all(&pg_ready::protocol::startup_packet(
            "postgres", "postgres", "",
        ))
        .unwrap();
    // The server is ready for a query once it has said so: message Z.
    let mut seen = Vec::new();
    while !seen.windows(5).any(|window| window == b"Z\0\0\0\x05") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    stream
}
