//! What pg_isready cannot tell, asked of real servers.
//!
//! Needs PostgreSQL's own programs; skipped with a word where they are missing.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use test_support::postgres::Server;

mod checks;
mod command;
mod noise;
mod tls;

/// The words of a command line, parted by blanks, and then words that may hold some.
fn pg_ready(server: &Server, line: &str, more: &[&str], environment: &[(&str, &str)]) -> Output {
    let line = line
        .replace("{port}", &server.port.to_string())
        .replace("{folder}", &server.folder().display().to_string());
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

/// The state that a check finds, after a look at what must hold of every report.
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

/// TCP by password, the socket for free.
const BY_PASSWORD: &str = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

fn with_password(bin: &Path) -> Server {
    let server = Server::start_with_hba(bin, BY_PASSWORD);
    server.sql("CREATE ROLE app LOGIN PASSWORD 's3cret'");
    server.sql("CREATE ROLE closed NOLOGIN");
    server
}
