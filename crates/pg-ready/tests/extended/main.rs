//! The extensions to `pg_isready`, run against real servers.
//!
//! Skipped with a message if PostgreSQL's programs are not installed.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use test_support::postgres::Server;

mod checks;
mod command;
mod hosts;
mod libpq;
mod login;
mod pooler;
mod replication;
mod schema;
mod server_log;
mod tls;

/// Runs `pg-ready` with the arguments of `line`, split at white space, and with `more`, which may contain some.
fn pg_ready(server: &Server, line: &str, more: &[&str], environment: &[(&str, &str)]) -> Output {
    let line = line
        .replace("{port}", &server.port.to_string())
        .replace("{dir}", &server.dir().display().to_string());
    Command::new(env!("CARGO_BIN_EXE_pg-ready"))
        .args(line.split_whitespace())
        .args(more)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Returns the state, after checking the invariants of every report.
#[track_caller]
fn state(output: &Output) -> String {
    let report = json(output);
    assert_eq!(
        report["exit_code"],
        output.status.code().unwrap(),
        "{report}"
    );
    assert_eq!(
        report["exit_code"] == 0,
        report["state"] == "accepting",
        "{report}"
    );
    report["state"].as_str().unwrap().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Password authentication over TCP, `trust` over the socket.
const PASSWORD_HBA: &str = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

fn start_with_password(bin: &Path) -> Server {
    let server = Server::start_with_hba(bin, PASSWORD_HBA);
    server.sql("CREATE ROLE app LOGIN PASSWORD 's3cret'");
    server.sql("CREATE ROLE closed NOLOGIN");
    server
}
