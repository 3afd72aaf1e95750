//! Compares `pg-ready`, installed as `pg_isready`, with PostgreSQL's `pg_isready` against real servers and malicious
//! listeners: exit code and standard output have to be equal in every case.
//!
//! Skipped with a message if PostgreSQL's programs are not installed.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::path::Path;
use std::process::{Command, Output};

mod edge_cases;
mod listener;

use listener::{Listener, Script};
use test_support::postgres::Server;

/// Arguments and environment of one run; see [`split_arguments`] for the former.
struct Case {
    arguments: String,
    environment: Vec<(String, String)>,
}

fn case(arguments: &str) -> Case {
    Case {
        arguments: arguments.to_owned(),
        environment: Vec::new(),
    }
}

impl Case {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}

fn run(program: &Path, case: &Case) -> Output {
    let environment = case.environment.iter().map(|(name, value)| (name, value));
    Command::new(program)
        .args(split_arguments(&case.arguments))
        .env_clear()
        .envs(environment)
        .output()
        .unwrap()
}

/// Splits at white space; `_` is a blank within an argument, `""` an empty argument.
fn split_arguments(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|argument| {
            if argument == "\"\"" {
                String::new()
            } else {
                argument.replace('_', " ")
            }
        })
        .collect()
}

#[track_caller]
fn assert_same_output(bin: &Path, cases: &[Case]) {
    let dir = tempfile::tempdir().unwrap();
    let installed = dir.path().join("pg_isready");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pg-ready"), &installed).unwrap();
    let mut different = Vec::new();
    for case in cases {
        let theirs = run(&bin.join("pg_isready"), case);
        let ours = run(&installed, case);
        let result = |output: &Output| {
            (
                output.status.code(),
                String::from_utf8_lossy(&output.stdout).into_owned(),
            )
        };
        if result(&theirs) != result(&ours) {
            different.push(format!(
                "{} {:?}\n  pg_isready {:?} {}\n  pg-ready   {:?} {}",
                case.arguments,
                case.environment,
                result(&theirs),
                String::from_utf8_lossy(&theirs.stderr).trim(),
                result(&ours),
                String::from_utf8_lossy(&ours.stderr).trim(),
            ));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {} differ:\n{}",
        different.len(),
        cases.len(),
        different.join("\n")
    );
}

#[test]
fn accepting_server_has_the_same_output() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let (port, dir) = (server.port, server.dir().display().to_string());
    let lines = [
        "-h 127.0.0.1 -p {port}",
        "-h localhost -p {port}",
        "-h {dir} -p {port}",
        "--host={dir} --port={port}",
        "--hos 127.0.0.1 --por {port}",
        "-h127.0.0.1 -p{port} -q",
        "-qh 127.0.0.1 -p {port}",
        "-h 127.0.0.1 -p {port} -U missing",
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
        "-d postgresql://%2Fmissing?host={dir}&port={port}",
        "-d postgresql:///db?host={dir}&port={port}",
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
        "-h {dir},127.0.0.1 -p 1,{port}",
        "-h \"\" -p {port}",
        "-d host={dir}_port={port}_target_session_attrs=standby",
        "-d host={dir}_port={port}_target_session_attrs=nonsense",
        "-d host={dir}_port={port}_connect_timeout=nonsense",
        "-d host={dir}_port={port}_application_name=x",
        "-d host={dir}_port={port}_channel_binding=require",
        "-d host={dir}_port={port}_gssencmode=nonsense",
        "-d port={port} -h 127.0.0.1",
        "-d host=127.0.0.1 -p {port}",
        "-d host='127.0.0.1'_port='{port}'",
        "-d host_=_127.0.0.1_port_=_{port}",
    ];
    let fill = |text: &str| {
        text.replace("{port}", &port.to_string())
            .replace("{dir}", &dir)
    };
    let mut cases: Vec<_> = lines.iter().map(|line| case(&fill(line))).collect();
    let with = |line: &str, name: &str, value: &str| case(&fill(line)).env(name, &fill(value));
    cases.extend([
        with("-p {port}", "PGHOST", "127.0.0.1"),
        with("-p {port}", "PGHOST", "{dir}"),
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
    assert_same_output(&bin, &cases);
}

#[test]
fn services_have_the_same_output() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pg_service.conf");
    let text = format!(
        "# comment\n[up]\nhost=127.0.0.1\nport={0}\n\n[twice]\nport={0}\nport=1\nhost=127.0.0.1\n[bad]\nnonsense\n\
         [unknown]\nnonsense=1\n[nested]\nservice=up\n[down]\nhost=127.0.0.1\nport=1\n",
        server.port
    );
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let mut cases = Vec::new();
    for service in [
        "up", "twice", "bad", "unknown", "nested", "down", "missing", "",
    ] {
        let named = |case: Case| {
            [
                with_variable(&case, "PGSERVICEFILE", &file),
                with_variable(&case, "PGSYSCONFDIR", &dir.path().display().to_string()),
            ]
        };
        cases.extend(named(case("").env("PGSERVICE", service)));
        cases.extend(named(case("-p 1").env("PGSERVICE", service)));
        cases.extend(named(case(&format!("-d service={service}"))));
    }
    let overridden = case("-d service=down").env("PGSERVICE", "up");
    cases.push(overridden.env("PGSERVICEFILE", &file));
    assert_same_output(&bin, &cases);
}

fn with_variable(case: &Case, name: &str, value: &str) -> Case {
    Case {
        arguments: case.arguments.clone(),
        environment: case.environment.clone(),
    }
    .env(name, value)
}

#[test]
fn unreachable_server_or_invalid_options_have_the_same_output() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let lines = [
        "-h 127.0.0.1 -p 1",
        "-h ::1 -p 1",
        "-h [::1] -p 1",
        "-h missing.invalid",
        "-h /missing",
        "-h /missing -p 7",
        "-h @missing",
        "-h /the/path/of/this/directory/is/longer/than/the/one/hundred/and/eight/bytes/that/an/address/of/a/unix/domain/socket/can/contain",
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
    assert_same_output(
        &bin,
        &lines.iter().map(|line| case(line)).collect::<Vec<_>>(),
    );
}

#[test]
fn server_in_recovery_has_the_same_output() {
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
        format!("-h {} -p {port}", server.dir().display()),
    ];
    assert_same_output(
        &bin,
        &lines.iter().map(|line| case(line)).collect::<Vec<_>>(),
    );
}

#[test]
fn full_strict_or_frozen_server_has_the_same_output() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let full = Server::start(
        &bin,
        "max_connections = 1\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0\n",
    );
    let _session = open_session(&full);
    assert_same_output(
        &bin,
        &[case(&format!("-h 127.0.0.1 -p {} -U someone", full.port))],
    );

    let strict = Server::start_with_hba(&bin, "hostssl all all all scram-sha-256\n");
    assert_same_output(&bin, &[case(&format!("-h 127.0.0.1 -p {}", strict.port))]);

    let scram = Server::start_with_hba(&bin, "host all all all scram-sha-256\n");
    assert_same_output(&bin, &[case(&format!("-h 127.0.0.1 -p {}", scram.port))]);

    scram.freeze();
    assert_same_output(
        &bin,
        &[case(&format!("-h 127.0.0.1 -p {} -t 2", scram.port))],
    );
    scram.thaw();
}

#[test]
fn listener_that_is_not_a_server_has_the_same_output() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let scripts = [
        Script::Silent,
        Script::Close,
        Script::Write(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Script::RejectTlsThen(b"X"),
        Script::RejectTlsThen(b"R\0\0\0\x08\0\0\0\0"),
        Script::RejectTlsThen(b"R\0\0\0\x08\0\0\0\x05salt"),
        Script::RejectTlsThen(b"R\0\0\0\x07"),
        Script::RejectTlsThen(b"R\x7f\xff\xff\xff"),
        Script::RejectTlsThen(b"E\x7f\xff\xff\xff"),
        Script::RejectTlsThen(b"N\0\0\0\x15SNOTICE\0Mhello\0\0"),
        Script::RejectTlsThen(b"E\0\0\0\x1aSFATAL\0C57P03\0Mno\0\0\0\0"),
        Script::RejectTlsThen(b"E\0\0\0\x18SFATAL\0C28000\0Mno\0\0"),
        Script::RejectTlsThenBytewise(b"R\0\0\0\x08\0\0\0\0"),
        Script::RejectTlsThen(b"R\0\0"),
        Script::RejectTlsThen(b""),
    ];
    for script in scripts {
        let listener = Listener::start(script);
        eprintln!("{script:?}");
        assert_same_output(
            &bin,
            &[case(&format!("-h 127.0.0.1 -p {} -t 2", listener.port))],
        );
    }
}

/// Opens a session, which occupies a connection slot until it is dropped.
fn open_session(server: &Server) -> std::net::TcpStream {
    use std::io::{Read as _, Write as _};
    const STARTUP_PACKET: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    const READY_FOR_QUERY: &[u8] = b"Z\0\0\0\x05";
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.write_all(STARTUP_PACKET).unwrap();
    let mut received = Vec::new();
    while !received.ends_with(READY_FOR_QUERY) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        received.push(byte[0]);
    }
    stream
}
