//! The official image's contract: user, password, database, authentication, data directory.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::container::{Container, SKIPPING, assert_fails};

#[test]
fn new_database_has_its_user_and_password_and_later_starts_keep_it() {
    let Some(container) = Container::new() else {
        return;
    };
    let password = container.path("password");
    fs::write(&password, "top secret\n").unwrap();
    let env = [
        ("POSTGRES_USER", "todo"),
        ("POSTGRES_DB", "the \"list\""),
        // Tests connect from this host, which initdb trusts by default.
        ("POSTGRES_INITDB_ARGS", "--auth-host=scram-sha-256"),
        ("POSTGRES_PASSWORD_FILE", password.to_str().unwrap()),
    ];
    let db = container.start(&env);
    assert!(
        !db.log.iter().any(|line| line.contains("top secret")),
        "{:?}",
        db.log
    );
    let query = |password, statement| container.psql("todo", password, "the \"list\"", statement);
    query("top secret", "create table kept as select 42 as n").unwrap();
    let refused = query("guess", "select 1").unwrap_err();
    assert!(
        refused.contains("password authentication failed"),
        "{refused}"
    );
    assert_eq!(query("top secret", "show server_encoding").unwrap(), "UTF8");
    let network = "select auth_method from pg_hba_file_rules where address = 'all'";
    assert_eq!(query("top secret", network).unwrap(), "scram-sha-256");
    let listens = "select setting from pg_file_settings where name = 'listen_addresses'";
    assert_eq!(query("top secret", listens).unwrap(), "*");
    db.stop();

    // A later start ignores the environment.
    let db = container.start(&[]);
    assert!(
        db.log.iter().any(|line| line.contains(SKIPPING)),
        "{:?}",
        db.log
    );
    assert_eq!(query("top secret", "select n from kept").unwrap(), "42");
}

#[test]
fn killed_server_recovers_its_data() {
    let Some(container) = Container::new() else {
        return;
    };
    let trust = [("POSTGRES_HOST_AUTH_METHOD", "trust")];
    let mut db = container.start(&trust);
    let query = |statement| container.psql("postgres", "", "postgres", statement);
    query("create table kept as select 42 as n").unwrap();
    db.signal(Signal::SIGQUIT);
    db.child.wait().unwrap();
    drop(db);
    let _db = container.start(&trust);
    assert_eq!(query("select n from kept").unwrap(), "42");
}
#[test]
fn invalid_environment_is_rejected_before_files_are_created() {
    let Some(container) = Container::new() else {
        return;
    };
    assert_fails(&container.output(&[]), &["POSTGRES_PASSWORD is not set"]);
    let both = [("POSTGRES_PASSWORD", "a"), ("POSTGRES_PASSWORD_FILE", "/b")];
    assert_fails(
        &container.output(&both),
        &["POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE"],
    );
    assert_eq!(fs::read_dir(container.path("data")).unwrap().count(), 0);
    fs::write(container.path("data").join("notes"), "text").unwrap();
    assert_fails(
        &container.output(&[("POSTGRES_PASSWORD", "a")]),
        &["is not empty", "data"],
    );
    assert!(container.path("data").join("notes").exists());
}

#[test]
fn other_command_is_executed_unchanged() {
    let Some(container) = Container::new() else {
        return;
    };
    let run = |command: &[&str]| container.entry(&[]).args(command).output().unwrap();
    assert_eq!(run(&["sh", "-c", "exit 7"]).status.code(), Some(7));
    let missing = run(&["no-such-program"]);
    assert_eq!(missing.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-program"));
    assert_eq!(fs::read_dir(container.path("data")).unwrap().count(), 0);

    let mut version = container
        .entry(&[])
        .arg("--version")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    version
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    version.wait().unwrap();
    assert!(text.starts_with("postgres (PostgreSQL)"), "{text}");
}

/// Settings that hardened installations use.
#[test]
fn local_connections_with_passwords_do_not_block_the_initialization() {
    let Some(container) = Container::new() else {
        return;
    };
    container.script("1.sql", 0o644, "create table steps (n int);");
    container.script(
        "2.sh",
        0o755,
        "#!/bin/sh\nexec psql -U app -d list -qc 'insert into steps values (2)'\n",
    );
    let password = container.path("password");
    fs::write(&password, "pw").unwrap();
    let _db = container.start(&[
        (
            "POSTGRES_INITDB_ARGS",
            "--auth-local=scram-sha-256 --auth-host=scram-sha-256",
        ),
        ("POSTGRES_PASSWORD_FILE", password.to_str().unwrap()),
        ("POSTGRES_USER", "app"),
        ("POSTGRES_DB", "list"),
    ]);
    let steps = container.psql("app", "pw", "list", "select n from steps");
    assert_eq!(steps.unwrap(), "2");
}

#[test]
fn network_authentication_follows_the_servers_password_encryption() {
    let Some(container) = Container::new() else {
        return;
    };
    container.script("1.sql", 0o644, "create role m login password 'm';");
    // Tests connect from this host, for which initdb's own rules come first.
    let env = [
        ("POSTGRES_PASSWORD", "p"),
        ("POSTGRES_INITDB_ARGS", "--auth-host=md5"),
    ];
    let mut server = container.server(&env);
    server.args(["-c", "password_encryption=md5"]);
    let _db = crate::container::Db::start(crate::container::as_ordinary_user(&mut server));
    let method = "select auth_method from pg_hba_file_rules where address = 'all'";
    let query = |user, statement| container.psql(user, user, "postgres", statement);
    let superuser = container.psql("postgres", "p", "postgres", method);
    assert_eq!(superuser.unwrap(), "md5");
    assert_eq!(query("m", "select 1").unwrap(), "1");
}

#[test]
fn data_directory_can_be_a_symbolic_link() {
    let Some(container) = Container::new() else {
        return;
    };
    let link = container.path("link");
    symlink(container.path("data"), &link).unwrap();
    let env = [
        ("POSTGRES_PASSWORD", "p"),
        ("PGDATA", link.to_str().unwrap()),
    ];
    let db = container.start(&env);
    db.stop();
    assert!(container.path("data/PG_VERSION").exists());
    let db = container.start(&env);
    assert!(db.log.iter().any(|line| line.contains(SKIPPING)));
}
