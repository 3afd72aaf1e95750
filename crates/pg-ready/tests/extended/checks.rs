//! The state of each check.

use super::*;

const APP: &str = "-h 127.0.0.1 -p {port} -U app -d postgres --output=json";

#[test]
fn login_failures_have_different_states() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = start_with_password(&bin);
    let password = ("PGPASSWORD", "s3cret");
    for (line, environment, expected) in [
        ("--check=login", vec![password], "accepting"),
        ("--check=login", vec![], "bad_password"),
        (
            "--check=login",
            vec![("PGPASSWORD", "wrong")],
            "bad_password",
        ),
        (
            "--check=login -d missing",
            vec![password],
            "no_such_database",
        ),
        ("--check=login -U missing", vec![password], "bad_password"),
        ("--check=login -h {dir} -U missing", vec![], "no_such_role"),
        ("--check=login -h {dir} -U closed", vec![], "not_permitted"),
        (
            "--check=login -h no-such-host.invalid",
            vec![],
            "dns_failure",
        ),
        ("--check=login -p 1", vec![], "refused"),
        ("--check=login -h /missing", vec![], "refused"),
        // Without a check the state is that of pg_isready: the server is up.
        ("-d missing", vec![], "accepting"),
        ("-h no-such-host.invalid", vec![], "dns_failure"),
        (
            "-t 500ms -h 127.0.0.1,127.0.0.1 -p 1,{port}",
            vec![],
            "accepting",
        ),
        (
            "--check=login -h 127.0.0.1,127.0.0.1 -p 1,{port}",
            vec![password],
            "accepting",
        ),
    ] {
        let output = pg_ready(&server, &format!("{APP} {line}"), &[], &environment);
        assert_eq!(state(&output), expected, "{line} {environment:?}");
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}

#[test]
fn password_is_read_from_every_source() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    use std::os::unix::fs::PermissionsExt as _;
    let server = start_with_password(&bin);
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
            "bad_password",
        ),
        // A file that is ignored has no effect where no password is needed.
        (
            "-h {dir} -p {port} -U app -d postgres --output=json",
            vec![],
            vec![("PGPASSFILE", open.as_str())],
            "accepting",
        ),
        (APP, vec![from_secret.as_str()], vec![], "accepting"),
        (APP, vec!["--password-file=/missing"], vec![], "no_attempt"),
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
            vec![("PGSERVICE", "missing")],
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
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}

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
fn schema_version_is_read_from_the_tables_of_migration_tools() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let line = "-h {dir} -p {port} -U postgres --output=json --check";
    for (table, columns, rows, required, expected) in [
        (
            "schema_migrations",
            "version bigint, dirty boolean",
            "(12, false)",
            "12",
            "accepting",
        ),
        (
            "schema_migrations",
            "version bigint, dirty boolean",
            "(12, true)",
            "12",
            "schema_failed",
        ),
        (
            "schema_migrations",
            "version text",
            "('9'), ('10')",
            "11",
            "schema_behind",
        ),
        (
            "schema_migrations",
            "version text",
            "('name')",
            "1",
            "schema_behind",
        ),
        (
            "refinery_schema_history",
            "version int, name text",
            "(2, 'a')",
            "2",
            "accepting",
        ),
        (
            "_sqlx_migrations",
            "version bigint, success boolean",
            "(1, true), (2, false)",
            "1",
            "schema_failed",
        ),
        (
            "_sqlx_migrations",
            "version bigint, success boolean",
            "(1, true), (2, true)",
            "2",
            "accepting",
        ),
        (
            "flyway_schema_history",
            "version text, success boolean",
            "('1.9', true), ('1.10', true), (NULL, true)",
            "1.10",
            "accepting",
        ),
        (
            "flyway_schema_history",
            "version text, success boolean",
            "('1.9', true), ('1.10', true)",
            "1.11",
            "schema_behind",
        ),
        (
            "flyway_schema_history",
            "version text, success boolean",
            "('2.0', true)",
            "2",
            "accepting",
        ),
        (
            "flyway_schema_history",
            "version text, success boolean",
            "('2', true), ('3', false)",
            "2",
            "schema_failed",
        ),
        (
            "goose_db_version",
            "id int, version_id bigint, is_applied boolean",
            "(1, 0, true), (2, 5, true)",
            "5",
            "accepting",
        ),
        (
            "goose_db_version",
            "id int, version_id bigint, is_applied boolean",
            "(1, 0, true), (2, 5, true), (3, 5, false)",
            "5",
            "schema_behind",
        ),
        (
            "__diesel_schema_migrations",
            "version varchar, run_on timestamp",
            "('20230101000000', now())",
            "20230101000000",
            "accepting",
        ),
        (
            "alembic_version",
            "version_num varchar",
            "('ae1027a6acf')",
            "ae1027a6acf",
            "accepting",
        ),
        (
            "alembic_version",
            "version_num varchar",
            "('ae1027a6acf')",
            "it's",
            "schema_behind",
        ),
        (
            "databasechangelog",
            "id varchar, exectype varchar",
            "('add-users', 'EXECUTED')",
            "add-users",
            "accepting",
        ),
        (
            "databasechangelog",
            "id varchar, exectype varchar",
            "('add-users', 'FAILED')",
            "add-users",
            "schema_failed",
        ),
        (
            "databasechangelog",
            "id varchar, exectype varchar",
            "('add-users', 'EXECUTED')",
            "12",
            "schema_behind",
        ),
    ] {
        server.sql(&format!("CREATE TABLE {table} ({columns})"));
        server.sql(&format!("INSERT INTO {table} VALUES {rows}"));
        let check = format!("schema={required}");
        let output = pg_ready(&server, line, &[&check], &[]);
        assert_eq!(
            state(&output),
            expected,
            "{table} {rows} {required}: {}",
            text(&output.stdout)
        );
        server.sql(&format!("DROP TABLE {table}"));
    }
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
fn first_server_that_passes_the_checks_is_reported() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let standby = Server::start_as_standby(&bin);
    let primary = Server::start(&bin, "");
    let hosts = format!("{},{}", standby.dir().display(), primary.dir().display());
    let ports = format!("{},{}", standby.port, primary.port);
    let output = pg_ready(
        &standby,
        "-U postgres --output=json",
        &["-h", &hosts, "-p", &ports, "--check=primary"],
        &[],
    );
    assert_eq!(state(&output), "accepting");
    assert_eq!(json(&output)["server"]["port"], primary.port);
}

#[test]
fn target_session_attrs_decides_the_server_as_in_psql() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let standby = Server::start_as_standby(&bin);
    let primary = Server::start(&bin, "");
    let host = |server: &Server| (server.dir().display().to_string(), server.port.to_string());
    let ((standby_dir, standby_port), (primary_dir, primary_port)) =
        (host(&standby), host(&primary));
    let both = (
        format!("{standby_dir},{primary_dir}"),
        format!("{standby_port},{primary_port}"),
    );
    let reverse = (
        format!("{primary_dir},{standby_dir}"),
        format!("{primary_port},{standby_port}"),
    );
    let alone = (primary_dir, primary_port.clone());
    for ((hosts, ports), attributes, expected) in [
        (&both, "any", Some(&standby_port)),
        (&both, "primary", Some(&primary_port)),
        (&both, "read-write", Some(&primary_port)),
        (&reverse, "standby", Some(&standby_port)),
        (&reverse, "read-only", Some(&standby_port)),
        (&reverse, "prefer-standby", Some(&standby_port)),
        (&alone, "prefer-standby", Some(&primary_port)),
        (&alone, "standby", None),
        (&alone, "read-only", None),
        (&alone, "read-write", Some(&primary_port)),
    ] {
        let conninfo =
            format!("host={hosts} port={ports} user=postgres target_session_attrs={attributes}");
        let ours = pg_ready(
            &primary,
            "--output=json --check=login -d",
            &[&conninfo],
            &[],
        );
        assert_eq!(
            ours.status.success(),
            expected.is_some(),
            "{conninfo} {}",
            text(&ours.stdout)
        );
        let theirs = Command::new(bin.join("psql"))
            .args(["-XAtwc", "SELECT current_setting('port')", &conninfo])
            .env_clear()
            .output()
            .unwrap();
        let their_port = text(&theirs.stdout).trim().to_owned();
        assert_eq!(
            their_port,
            expected.cloned().unwrap_or_default(),
            "{conninfo}"
        );
        if let Some(port) = expected {
            assert_eq!(
                json(&ours)["server"]["port"].to_string(),
                *port,
                "{conninfo}"
            );
        }
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
