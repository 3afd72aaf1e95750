//! Checks through PgBouncer.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};

use test_support::postgres::ordinary_user;
use test_support::{Requirement, require};

use super::*;

/// A PgBouncer, stopped on drop.
struct Pooler {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Pooler {
    fn start(server: &Server, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let users = dir.path().join("users");
        fs::write(&users, "\"app\" \"s3cret\"\n").unwrap();
        let config = dir.path().join("config.ini");
        let text = format!(
            "[databases]\npostgres = host={} port={}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = plain\n\
             auth_file = {}\nadmin_users = app\n{settings}\n",
            server.dir().display(),
            server.port,
            users.display()
        );
        fs::write(&config, text).unwrap();
        let mut pgbouncer = Command::new("pgbouncer");
        pgbouncer
            .arg(&config)
            .current_dir("/")
            .stderr(Stdio::null());
        if let Some(user) = ordinary_user() {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            for path in [&users, &config] {
                chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
            }
            pgbouncer.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let process = pgbouncer.spawn().unwrap();
        let pooler = Self {
            process,
            port,
            _dir: dir,
        };
        let started = pooler.run("--wait=60s", &[]);
        assert!(started.status.success(), "{started:?}");
        pooler
    }

    fn run(&self, line: &str, environment: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pg-ready"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "app"])
            .args(["-d", "postgres", "--output=json"])
            .args(line.split_whitespace())
            .env_clear()
            .env("PGPASSWORD", "s3cret")
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(settings: &str) -> Option<(Server, Pooler)> {
    let bin = test_support::postgres::programs()?;
    if !require(Requirement::Pgbouncer) {
        return None;
    }
    let server = Server::start(&bin, "");
    server.sql("CREATE ROLE app LOGIN SUPERUSER");
    let pooler = Pooler::start(&server, settings);
    Some((server, pooler))
}

#[test]
fn warm_pooler_of_a_killed_server_passes_only_a_login() {
    for mode in ["session", "transaction", "statement"] {
        let Some((server, pooler)) = start(&format!("pool_mode = {mode}")) else {
            return;
        };
        let warm = pooler.run("--check=login,through-pooler,write,primary", &[]);
        assert_eq!(state(&warm), "accepting", "{mode} {}", text(&warm.stdout));
        // The pooler reports no properties of the session, so they are queried.
        let primary = [("PGTARGETSESSIONATTRS", "primary")];
        assert_eq!(
            state(&pooler.run("--check=login", &primary)),
            "accepting",
            "{mode}"
        );
        // The timeout of a statement does not stay with the connection that the pooler keeps.
        let conninfo = format!(
            "host=127.0.0.1 port={} user=app password=s3cret dbname=postgres",
            pooler.port
        );
        let bin = test_support::postgres::programs().unwrap();
        let shown = Command::new(bin.join("psql"))
            .args(["-XAtc", "SHOW statement_timeout", &conninfo])
            .output()
            .unwrap();
        assert_eq!(text(&shown.stdout), "0\n", "{mode}");
        server.kill();
        assert_eq!(
            state(&pooler.run("--check=login", &[])),
            "accepting",
            "{mode}"
        );
        let through = pooler.run("--check=through-pooler -t 1s", &[]);
        assert!(
            !through.status.success(),
            "{mode} {}",
            text(&through.stdout)
        );
        server.start_again();
    }
}

#[test]
fn errors_of_a_pooler_have_the_state_of_the_servers_errors() {
    let Some((_server, pooler)) = start("") else {
        return;
    };
    for (line, password, expected) in [
        ("--check=login", "wrong", "bad_password"),
        ("--check=login -U missing", "s3cret", "bad_password"),
        ("--check=login -d missing", "s3cret", "no_such_database"),
        ("--check=login -d pgbouncer", "s3cret", "accepting"),
    ] {
        let output = pooler.run(line, &[("PGPASSWORD", password)]);
        assert_eq!(state(&output), expected, "{line} {}", text(&output.stdout));
    }
}
