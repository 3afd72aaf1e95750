//! Replication lag of a standby that streams.

use std::fs;
use std::os::unix::process::CommandExt as _;

use test_support::postgres::ordinary_user;

use super::*;

/// Starts a standby that streams from `primary`.
fn start_standby(bin: &Path, primary: &Server, settings: &str) -> Server {
    let standby = Server::prepare(bin, "");
    let data = standby.dir().join("data");
    fs::remove_dir_all(&data).unwrap();
    let mut backup = Command::new(bin.join("pg_basebackup"));
    backup
        .current_dir("/")
        .args(["-R", "-c", "fast", "-U", "postgres", "-D"])
        .arg(&data)
        .arg("-h")
        .arg(primary.dir())
        .args(["-p", &primary.port.to_string()]);
    if let Some(user) = ordinary_user() {
        backup.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    assert!(backup.status().unwrap().success());
    let file = data.join("postgresql.conf");
    let own = format!(
        "port = {}\nunix_socket_directories = '{}'\n{settings}",
        standby.port,
        standby.dir().display()
    );
    fs::write(&file, fs::read_to_string(&file).unwrap() + &own).unwrap();
    standby.started()
}

/// Waits until a query on the standby returns true.
#[track_caller]
fn wait_until(standby: &Server, sql: &str) {
    let check = format!("--check=query={sql}");
    let waited = pg_ready(
        standby,
        "-h {dir} -p {port} -U postgres --wait=60s",
        &[&check],
        &[],
    );
    assert!(waited.status.success(), "{sql}: {waited:?}");
}

#[test]
fn standby_of_a_silent_primary_lags() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let primary = Server::start(&bin, "");
    let standby = start_standby(&bin, &primary, "wal_receiver_timeout = 10s\n");
    primary.sql("CREATE TABLE written AS SELECT 1");
    wait_until(&standby, "SELECT to_regclass('written') IS NOT NULL");
    // An idle primary sends a message only after the receiver's request.
    let silence = "coalesce(clock_timestamp() - last_msg_receipt_time > '{} s', true)";
    let sql = format!(
        "SELECT {} FROM pg_stat_wal_receiver",
        silence.replace("{}", "1.5")
    );
    wait_until(&standby, &sql);
    let lag = || {
        let line = "-h {dir} -p {port} -U postgres --output=json --check=lag=1s";
        state(&pg_ready(&standby, line, &[], &[]))
    };
    assert_eq!(lag(), "accepting");
    primary.freeze_sessions();
    // The receiver gives up after 10 s.
    let sql = silence.replace("{}", "6.1");
    wait_until(
        &standby,
        &format!("SELECT {sql} FROM (SELECT) AS s LEFT JOIN pg_stat_wal_receiver ON true"),
    );
    let state = lag();
    primary.thaw();
    assert_eq!(state, "lagging");
}
