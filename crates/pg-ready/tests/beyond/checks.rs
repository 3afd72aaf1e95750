//! Each state is told from the others.

use super::*;

const APP: &str = "-h 127.0.0.1 -p {port} -U app -d postgres --output=json";

#[test]
fn logins_are_told_apart_from_each_other() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = with_password(&bin);
    let pass = ("PGPASSWORD", "s3cret");
    for (line, environment, expected) in [
        ("--check=login", vec![pass], "accepting"),
        ("--check=login", vec![], "bad_password"),
        (
            "--check=login",
            vec![("PGPASSWORD", "wrong")],
            "bad_password",
        ),
        ("--check=login -d missing", vec![pass], "no_such_database"),
        ("--check=login -U nobody", vec![pass], "bad_password"),
        (
            "--check=login -h {folder} -U nobody",
            vec![],
            "no_such_role",
        ),
        (
            "--check=login -h {folder} -U closed",
            vec![],
            "not_permitted",
        ),
        (
            "--check=login -h no-such-host.invalid",
            vec![],
            "dns_failure",
        ),
        ("--check=login -p 1", vec![], "refused"),
        ("--check=login -h /nowhere", vec![], "refused"),
        // Without a check it is pg_isready's question: there is somebody.
        ("-d missing", vec![], "accepting"),
        ("-h no-such-host.invalid", vec![], "dns_failure"),
        (
            "-t 500ms -h 127.0.0.1,127.0.0.1 -p 1,{port}",
            vec![],
            "accepting",
        ),
        (
            "--check=login -h 127.0.0.1,127.0.0.1 -p 1,{port}",
            vec![pass],
            "accepting",
        ),
    ] {
        let output = pg_ready(&server, &format!("{APP} {line}"), &[], &environment);
        assert_eq!(state(&output), expected, "{line} {environment:?}");
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(!all.contains("s3cret"), "{all}");
    }
}

#[test]
fn a_password_is_taken_from_every_place_that_may_hold_one() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    use std::os::unix::fs::PermissionsExt as _;
    let server = with_password(&bin);
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let pgpass = file(".pgpass", "127.0.0.1:*:postgres:app:s3cret\n", 0o600);
    let open = file("open", "*:*:*:*:s3cret\n", 0o644);
    let secret = file("secret", "s3cret\n", 0o644);
    let service = file(
        "services",
        "[shop]\nhost=127.0.0.1\nuser=app\npassword=s3cret\n",
        0o600,
    );
    let home = home.path().display().to_string();
    let from_secret = format!("--password-file={secret}");
    let uri = format!("postgres://app:s3cret@127.0.0.1:{}/postgres", server.port);
    for (line, more, environment, expected) in [
        (APP, vec![], vec![("HOME", home.as_str())], "accepting"),
        (
            APP,
            vec![],
            vec![("PGPASSFILE", pgpass.as_str())],
            "accepting",
        ),
        (
            APP,
            vec![],
            vec![("PGPASSFILE", open.as_str())],
            "no_attempt",
        ),
        (APP, vec![from_secret.as_str()], vec![], "accepting"),
        (APP, vec!["--password-file=/nowhere"], vec![], "no_attempt"),
        ("--output=json -d", vec![uri.as_str()], vec![], "accepting"),
        (
            "--output=json -p {port} -d postgres",
            vec![],
            vec![("PGSERVICE", "shop"), ("PGSERVICEFILE", service.as_str())],
            "accepting",
        ),
        (
            "--output=json -p {port}",
            vec![],
            vec![("PGSERVICE", "none")],
            "no_attempt",
        ),
    ] {
        let mut more = more;
        more.push("--check=login");
        let output = pg_ready(&server, line, &more, &environment);
        assert_eq!(
            state(&output),
            expected,
            "{line} {more:?} {environment:?} {}",
            text(&output.stderr)
        );
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(!all.contains("s3cret"), "{all}");
    }
}

#[test]
fn a_primary_passes_and_fails_what_it_should() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    server.sql("CREATE TABLE schema_migrations (version text)");
    server.sql("INSERT INTO schema_migrations VALUES ('9'), ('10')");
    let line = "-h {folder} -p {port} -U postgres --output=json";
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
        ("query=SELECT generate_series(1, 1000000)", "accepting"),
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
    let made: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|made| (&made["check"], &made["state"]))
        .collect();
    assert_eq!(
        format!("{made:?}"),
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
fn a_server_that_takes_no_writes_is_read_only() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "default_transaction_read_only = on\n");
    let line = "-h {folder} -p {port} -U postgres --output=json --check";
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
fn a_standby_is_told_from_a_primary() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start_as_standby(&bin);
    let line = "-h {folder} -p {port} -U postgres --output=json --check";
    for (check, expected) in [
        ("standby", "accepting"),
        ("primary", "standby"),
        ("write", "read_only"),
        // It receives from nobody: what it has is as old as it looks, here older than anything.
        ("lag=1d", "lagging"),
        ("schema=1", "schema_behind"),
    ] {
        assert_eq!(
            state(&pg_ready(&server, line, &[check], &[])),
            expected,
            "{check}"
        );
    }
    // Any of several servers will do.
    let primary = Server::start(&bin, "");
    let hosts = format!(
        "{},{}",
        server.folder().display(),
        primary.folder().display()
    );
    let ports = format!("{},{}", server.port, primary.port);
    let output = pg_ready(
        &server,
        "-U postgres --output=json",
        &["-h", &hosts, "-p", &ports, "--check=primary"],
        &[],
    );
    assert_eq!(state(&output), "accepting");
    assert_eq!(json(&output)["server"]["port"], primary.port);
}

#[test]
fn a_full_server_and_one_in_recovery_are_told_apart() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let full = Server::start(
        &bin,
        "max_connections = 2\nsuperuser_reserved_connections = 1\nmax_wal_senders = 0\n",
    );
    full.sql("CREATE ROLE app LOGIN");
    let _held = Held::session(&bin, &full);
    let line = "-h {folder} -p {port} -U app -d postgres --output=json --check=login";
    assert_eq!(
        state(&pg_ready(&full, line, &[], &[])),
        "too_many_connections"
    );
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

struct Held(std::process::Child);

impl Held {
    /// A session that has been let in.
    fn session(bin: &Path, server: &Server) -> Self {
        use std::io::{BufRead as _, BufReader, Write as _};
        let mut psql = Command::new(bin.join("psql"))
            .args(["-XAtq", "-U", "app", "-d", "postgres", "-h"])
            .arg(server.folder())
            .args(["-p", &server.port.to_string()])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(psql.stdin.as_mut().unwrap(), "SELECT 'in';").unwrap();
        let mut answer = String::new();
        BufReader::new(psql.stdout.take().unwrap())
            .read_line(&mut answer)
            .unwrap();
        assert_eq!(answer, "in\n");
        Self(psql)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
