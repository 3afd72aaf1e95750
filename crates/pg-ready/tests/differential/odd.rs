//! What a random comparison with pg_isready once found different: settings that are empty, out of range, or read in
//! more ways than one.

use super::*;

#[test]
fn agrees_on_odd_settings_of_an_accepting_server() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let fill = |text: &str| {
        text.replace("{port}", &server.port.to_string())
            .replace("{folder}", &server.folder().display().to_string())
    };
    let strings = [
        // Empty values of a connection string take away what the environment says.
        "host=''",
        "port=''",
        "sslmode=''",
        "gssencmode=''",
        "channel_binding=''",
        "target_session_attrs=''",
        "hostaddr=''",
        "user=''",
        "dbname=''",
        // Keepalives are set before the connection is made, and only within the system's limits.
        "keepalives=x",
        "keepalives=''",
        "keepalives='1_'",
        "keepalives=0_keepalives_idle=x",
        "keepalives_idle=0",
        "keepalives_idle=-5",
        "keepalives_idle=32767",
        "keepalives_idle=32768",
        "keepalives_interval=32767",
        "keepalives_interval=32768",
        "keepalives_interval=''",
        "keepalives_count=127",
        "keepalives_count=128",
        "keepalives_count=0",
        "tcp_user_timeout=x",
        "tcp_user_timeout=''",
        "tcp_user_timeout=-1",
        "keepalives=x_host={folder}",
        // Versions of TLS.
        "ssl_min_protocol_version=TLSv9",
        "ssl_min_protocol_version=tlsv1.3",
        "ssl_max_protocol_version=TLSv1",
        "ssl_max_protocol_version=TLSv1.2",
        "ssl_min_protocol_version=TLSv1.3_ssl_max_protocol_version=TLSv1.2",
        "ssl_min_protocol_version=''_ssl_max_protocol_version=TLSv1",
        "ssl_min_protocol_version=TLSv1_ssl_max_protocol_version=TLSv1",
        // An older spelling of sslmode.
        "requiressl=1",
        "requiressl=0",
        "requiressl=x",
        "requiressl=''",
        // What cannot be had.
        "gssencmode=require",
        "gssencmode=require_host={folder}",
        // Who runs the server.
        "requirepeer=nobody_at_all_host={folder}",
        "requirepeer=postgres_host={folder}",
        "requirepeer=nobody_at_all",
        "requirepeer=nobody_at_all_host={folder},127.0.0.1",
        // A port that is no number ends the search, one that is too large does not.
        "host=127.0.0.1,{folder}_sslmode=require",
        "host={folder},127.0.0.1_sslmode=require",
        "host=/nowhere,{folder}_sslmode=require",
        "host=127.0.0.1,127.0.0.1_port=x,{port}",
        "host=127.0.0.1,127.0.0.1_port=65536,{port}",
        "host=127.0.0.1,127.0.0.1_port={port},x",
        "host=127.0.0.1,127.0.0.1_port=+{port},x",
        // Addresses in short.
        "hostaddr=127.1",
        "hostaddr=0x7f.1",
        "hostaddr=0177.0.0.1",
        "hostaddr=2130706433",
        "hostaddr=127.0.1",
        "hostaddr=127.256.1",
        "hostaddr=1.2.3.4.5",
        "hostaddr=08.1",
        "hostaddr=localhost",
        "host=LOCALHOST",
        "host=127.1",
        "host=x\x0bport=1",
    ];
    let uris = [
        "postgresql://127.0.0.1:{port}/?application_name=x&",
        "postgresql://127.0.0.1:{port}/?application_name=x&&user=y",
        "postgresql://127.0.0.1:{port}/?&application_name=x",
        "postgresql://127.0.0.1:{port}/?&",
        "postgresql://127.0.0.1:{port}/?",
        "postgresql://127.0.0.1:{port}/?requiressl=1",
        "postgresql://127.0.0.1:{port}/?ssl=false",
        "postgresql://127.0.0.1:{port}/d/b?user=",
        "postgresql://127.0.0.1::{port}",
        "postgresql://u:p@q:r@127.0.0.1:{port}",
        "postgresql://127.0.0.1:{port}/#x",
    ];
    let by_default = |situation: Situation| {
        situation
            .env("PGPORT", &server.port.to_string())
            .env("PGHOST", "127.0.0.1")
    };
    let mut situations: Vec<_> = strings
        .iter()
        .chain(&uris)
        .map(|text| by_default(situation(&format!("-d {}", fill(text)))))
        .collect();
    let environment = [
        ("PGREQUIRESSL", "1"),
        ("PGREQUIRESSL", "0"),
        ("PGGSSENCMODE", ""),
        ("PGGSSENCMODE", "require"),
        ("PGSSLMODE", ""),
        ("PGSSLMINPROTOCOLVERSION", "x"),
        ("PGSSLMINPROTOCOLVERSION", ""),
        ("PGSSLMAXPROTOCOLVERSION", "TLSv1.1"),
        ("PGCHANNELBINDING", ""),
        ("PGTARGETSESSIONATTRS", ""),
    ];
    let empty = || by_default(situation(""));
    situations.extend(environment.map(|(name, value)| empty().env(name, value)));
    situations.extend([
        empty().env("PGREQUIRESSL", "1").env("PGSSLMODE", "prefer"),
        empty()
            .env("PGHOST", &fill("{folder}"))
            .env("PGREQUIREPEER", "x"),
        // A file of passwords that others can read is no matter where no password is needed.
        empty()
            .env("PGSSLMODE", "require")
            .env("PGPASSFILE", "/etc/passwd"),
    ]);
    same(&bin, &situations);
}
