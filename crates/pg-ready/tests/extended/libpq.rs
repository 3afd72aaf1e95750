//! Compares status and login with a current libpq, that of the Python package `psycopg-binary`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use test_support::{Requirement, require};

use super::*;

/// A process that calls libpq.
struct Libpq {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Libpq {
    fn start(environment: &[(&str, &str)]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/extended/libpq.py");
        let mut process = Command::new("python3")
            .arg(script)
            .env_remove("PGPASSWORD")
            .env("HOME", "/nonexistent")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    /// Returns the exit code of `pg_isready`, and `true` if a login succeeds.
    fn check(&mut self, conninfo: &str) -> (i32, bool) {
        writeln!(self.input, "{conninfo}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let (status, login) = line.trim().split_once(' ').unwrap();
        (status.parse().unwrap(), login == "1")
    }
}

impl Drop for Libpq {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Settings of libpq 16 to 18 with legal and illegal values.
const SETTINGS: &[&str] = &[
    "",
    "require_auth=scram-sha-256",
    "require_auth=password",
    "require_auth=password,scram-sha-256",
    "require_auth=!scram-sha-256",
    "require_auth=!password,!md5",
    "require_auth=none",
    "require_auth=none,scram-sha-256",
    "require_auth=bogus",
    "require_auth=md5,md5",
    "require_auth=!md5,password",
    "require_auth=oauth",
    "load_balance_hosts=random",
    "load_balance_hosts=disable",
    "load_balance_hosts=bogus",
    "sslcertmode=disable",
    "sslcertmode=allow",
    "sslcertmode=bogus",
    "gssdelegation=1",
    "sslnegotiation=postgres",
    "sslnegotiation=bogus",
    "sslnegotiation=direct",
    "sslnegotiation=direct sslmode=prefer",
    "sslnegotiation=direct sslmode=require",
    "min_protocol_version=3.0",
    "max_protocol_version=3.2",
    "max_protocol_version=latest",
    "max_protocol_version=2.0",
    "min_protocol_version=latest max_protocol_version=3.0",
    "oauth_issuer=https://example.org oauth_client_id=x",
    "oauth_scope=x oauth_client_secret=y",
    "sslsni=0",
    "sslsni=0 sslmode=require",
    "sslmode=disable",
    "sslmode=allow",
    "sslmode=require",
    "sslmode=verify-full",
    "sslrootcert=system",
    "sslrootcert=system sslmode=require",
    "sslrootcert=system sslmode=verify-full",
    "sslrootcert=system sslmode=disable",
    "sslrootcert={root} sslmode=verify-full",
    "sslrootcert={root} sslmode=verify-ca sslcrl=/missing",
    "servicefile=/missing",
    "bogus=1",
    "target_session_attrs=any",
    "target_session_attrs=read-write",
    "target_session_attrs=read-only",
    "target_session_attrs=primary",
    "target_session_attrs=standby",
    "target_session_attrs=prefer-standby",
    "target_session_attrs=bogus",
];

/// The same as environment variables.
const VARIABLES: &[(&str, &str)] = &[
    ("PGREQUIREAUTH", "bogus"),
    ("PGREQUIREAUTH", "scram-sha-256"),
    ("PGREQUIREAUTH", "password"),
    ("PGSSLNEGOTIATION", "direct"),
    ("PGLOADBALANCEHOSTS", "bogus"),
    ("PGSSLCERTMODE", "bogus"),
    ("PGMINPROTOCOLVERSION", "x"),
    ("PGMAXPROTOCOLVERSION", "3.0"),
    ("PGSSLROOTCERT", "system"),
    ("PGSSLSNI", "0"),
    ("PGTARGETSESSIONATTRS", "standby"),
];

#[test]
fn settings_of_current_libpq_have_the_same_result() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    if !require(Requirement::Psycopg) {
        return;
    }
    let authority = tls::Authority::new();
    let hba = "host all all 127.0.0.1/32 scram-sha-256\n";
    let server = tls::start_with_tls(&bin, &authority, hba);
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root.crt");
    std::fs::write(&root, authority.issuer.pem()).unwrap();
    let base = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=app dbname=postgres password=s3cret",
        server.port
    );
    let with_settings = SETTINGS.iter().map(|settings| {
        let settings = settings.replace("{root}", &root.display().to_string());
        (format!("{base} {settings}"), None)
    });
    let with_variables = VARIABLES
        .iter()
        .map(|variable| (base.clone(), Some(*variable)));
    let mut different = Vec::new();
    let mut libpq = Libpq::start(&[]);
    for (conninfo, variable) in with_settings.chain(with_variables) {
        let environment: Vec<_> = variable.into_iter().collect();
        let theirs = match variable {
            None => libpq.check(&conninfo),
            Some(_) => Libpq::start(&environment).check(&conninfo),
        };
        let status = pg_ready(&server, "-d", &[&conninfo], &environment);
        let login = pg_ready(&server, "--check=login -d", &[&conninfo], &environment);
        let ours = (status.status.code().unwrap(), login.status.success());
        if ours != theirs {
            different.push(format!(
                "{conninfo} {variable:?}: libpq {theirs:?}, pg-ready {ours:?} {}{}",
                text(&login.stdout),
                text(&login.stderr)
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn setting_that_a_login_does_not_support_is_named() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    for setting in [
        "replication=database",
        "sslcertmode=require",
        "scram_client_key=x",
        "sslkeylogfile=/dev/null",
        "min_protocol_version=3.2",
    ] {
        let conninfo = format!(
            "host=127.0.0.1 port={} user=postgres {setting}",
            server.port
        );
        let login = pg_ready(&server, "--output=json --check=login -d", &[&conninfo], &[]);
        assert_eq!(state(&login), "no_attempt", "{setting}");
        let name = setting.split('=').next().unwrap();
        let reason = json(&login)["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(name), "{reason}");
    }
}
