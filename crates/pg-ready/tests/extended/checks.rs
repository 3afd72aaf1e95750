//! The state of each check.

use super::*;

pub(super) const APP: &str = "-h 127.0.0.1 -p {port} -U app -d postgres --output=json";

#[test]
fn checks_of_a_primary_have_the_expected_state() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    server.sql("CREATE TABLE schema_migrations (version text)");
    server.sql("INSERT INTO schema_migrations VALUES ('9'), ('10')");
    let line = "-h {dir} -p {port} -U postgres --output=json";
    for (check, expected) in [
        ("login,write,primary,lag=1ms,schema=10", "accepting"),
        ("standby", "primary"),
        ("schema=11", "schema_behind"),
        ("query=SELECT 1", "accepting"),
        ("query=SELECT true", "accepting"),
        ("query=SELECT false", "query_failed"),
        ("query=SELECT NULL", "query_failed"),
        ("query=SELECT 1 WHERE false", "query_failed"),
        ("query=SELECT * FROM missing", "query_failed"),
        ("query=DO $$ BEGIN END $$", "accepting"),
        ("query=SELECT generate_series(1, 20000)", "accepting"),
        // Every statement has to succeed, to its last row.
        (
            "query=SELECT 10/(5-g) FROM generate_series(1, 5) g",
            "query_failed",
        ),
        ("query=SELECT true; SELECT 1/0", "query_failed"),
        ("query=SELECT 1; SELECT false", "query_failed"),
        ("query=SELECT 1; SELECT 2", "accepting"),
        // The server limits a statement too, also if this process is killed.
        (
            "query=SELECT current_setting('statement_timeout') <> '0'",
            "accepting",
        ),
        ("query=SELECT repeat('x', 1000000)", "protocol"),
        ("query=SELECT pg_sleep(60)", "timeout"),
        (
            "query=DO $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$",
            "shutting_down",
        ),
    ] {
        let output = pg_ready(&server, line, &["-t", "2", "--check", check], &[]);
        assert_eq!(
            state(&output),
            expected,
            "{check}: {}",
            text(&output.stdout)
        );
    }
    let output = pg_ready(&server, line, &["--check=login,query=SELECT false"], &[]);
    let report = json(&output);
    let checks: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| (&check["check"], &check["state"]))
        .collect();
    assert_eq!(
        format!("{checks:?}"),
        r#"[(String("login"), String("accepting")), (String("query"), String("query_failed"))]"#
    );
    assert_eq!(report["phase"], "checks");
    assert!(
        report["server"]["version"]
            .as_str()
            .unwrap()
            .starts_with(char::is_numeric)
    );
    for phase in ["connect", "login", "checks"] {
        assert!(
            report["phases_ms"][phase].as_f64().unwrap() > 0.0,
            "{report}"
        );
    }
}

#[test]
fn statement_does_not_outlive_its_check() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let authority = tls::Authority::new();
    let server = tls::start_with_tls(&bin, &authority, "hostssl all all 127.0.0.1/32 trust\n");
    for line in [
        "-h 127.0.0.1 -p {port} -U app -d postgres --output=json",
        "-h {dir} -p {port} -U postgres --output=json",
    ] {
        let background = server.children();
        // Without a limit of the server a cancel request ends the statement; it gets a part of the timeout.
        for (timeout, options) in [("500ms", ""), ("4s", "-c statement_timeout=0")] {
            let more = ["-t", timeout, "--check=query=SELECT pg_sleep(3600)"];
            let output = pg_ready(&server, line, &more, &[("PGOPTIONS", options)]);
            assert_eq!(state(&output), "timeout", "{line} {options}");
        }
        // Would wait for an hour.
        server.wait_for_backends(&background);
    }
    assert!(
        server
            .log()
            .contains("canceling statement due to user request")
    );
}

#[test]
fn server_with_read_only_transactions_is_read_only() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "default_transaction_read_only = on\n");
    let line = "-h {dir} -p {port} -U postgres --output=json --check";
    assert_eq!(
        state(&pg_ready(&server, line, &["write"], &[])),
        "read_only"
    );
    assert_eq!(
        state(&pg_ready(&server, line, &["login,primary"], &[])),
        "accepting"
    );
}

#[test]
fn checks_of_a_standby_have_the_expected_state() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start_as_standby(&bin);
    let line = "-h {dir} -p {port} -U postgres --output=json --check";
    for (check, expected) in [
        ("standby", "accepting"),
        ("primary", "standby"),
        ("write", "read_only"),
        // A standby without a primary has no received position, so the age of its data counts.
        ("lag=1d", "lagging"),
        ("schema=1", "schema_behind"),
    ] {
        assert_eq!(
            state(&pg_ready(&server, line, &[check], &[])),
            expected,
            "{check}"
        );
    }
}

#[test]
fn server_without_free_slots_has_too_many_connections() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let full = Server::start(
        &bin,
        "max_connections = 2\nsuperuser_reserved_connections = 1\nmax_wal_senders = 0\n",
    );
    let background = full.children();
    full.sql("CREATE ROLE app LOGIN");
    full.wait_for_backends(&background);
    let _session = Session::open(&bin, &full);
    let line = "-h {dir} -p {port} -U app -d postgres --output=json --check=login";
    assert_eq!(
        state(&pg_ready(&full, line, &[], &[])),
        "too_many_connections"
    );
}

#[test]
fn server_in_recovery_is_starting_or_in_recovery() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let recovering = Server::start_in_recovery(&bin);
    let output = pg_ready(
        &recovering,
        "-h 127.0.0.1 -p {port} -U app -d postgres --output=json",
        &["--check=login"],
        &[],
    );
    assert!(
        ["starting", "recovery"].contains(&state(&output).as_str()),
        "{output:?}"
    );
    assert_eq!(output.status.code(), Some(1));
}

/// A session of `psql`, which occupies a connection slot until it is dropped.
struct Session(std::process::Child);

impl Session {
    fn open(bin: &Path, server: &Server) -> Self {
        use std::io::{BufRead as _, BufReader, Write as _};
        let mut psql = Command::new(bin.join("psql"))
            .args(["-XAtq", "-U", "app", "-d", "postgres", "-h"])
            .arg(server.dir())
            .args(["-p", &server.port.to_string()])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(psql.stdin.as_mut().unwrap(), "SELECT 'open';").unwrap();
        let mut line = String::new();
        BufReader::new(psql.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "open\n");
        Self(psql)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
