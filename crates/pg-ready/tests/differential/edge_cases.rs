//! Settings that are empty, out of range or ambiguous; a random comparison with `pg_isready` once found different
//! results for them.

use super::*;

#[test]
fn unusual_settings_have_the_same_output() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let fill = |text: &str| {
        text.replace("{port}", &server.port.to_string())
            .replace("{dir}", &server.dir().display().to_string())
    };
    let strings = [
        // Empty values of a connection string override the environment.
        "host=''",
        "port=''",
        "sslmode=''",
        "gssencmode=''",
        "channel_binding=''",
        "target_session_attrs=''",
        "hostaddr=''",
        "user=''",
        "dbname=''",
        // Keepalives are set before the connection, and only within the limits of Linux.
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
        "keepalives=x_host={dir}",
        // TLS versions.
        "ssl_min_protocol_version=TLSv9",
        "ssl_min_protocol_version=tlsv1.3",
        "ssl_max_protocol_version=TLSv1",
        "ssl_max_protocol_version=TLSv1.2",
        "ssl_min_protocol_version=TLSv1.3_ssl_max_protocol_version=TLSv1.2",
        "ssl_min_protocol_version=''_ssl_max_protocol_version=TLSv1",
        "ssl_min_protocol_version=TLSv1_ssl_max_protocol_version=TLSv1",
        // The obsolete form of sslmode.
        "requiressl=1",
        "requiressl=0",
        "requiressl=x",
        "requiressl=''",
        // GSSAPI encryption, without credentials.
        "gssencmode=require",
        "gssencmode=require_host={dir}",
        // The user that runs the server.
        "requirepeer=missing-user_host={dir}",
        "requirepeer=postgres_host={dir}",
        "requirepeer=missing-user",
        "requirepeer=missing-user_host={dir},127.0.0.1",
        // libpq stops at a port that is not an integer, and skips one that is out of range.
        "host=127.0.0.1,{dir}_sslmode=require",
        "host={dir},127.0.0.1_sslmode=require",
        "host=/missing,{dir}_sslmode=require",
        "host=127.0.0.1,127.0.0.1_port=x,{port}",
        "host=127.0.0.1,127.0.0.1_port=65536,{port}",
        "host=127.0.0.1,127.0.0.1_port={port},x",
        "host=127.0.0.1,127.0.0.1_port=+{port},x",
        // Addresses in the forms of inet_aton.
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
    let with_defaults = |case: Case| {
        case.env("PGPORT", &server.port.to_string())
            .env("PGHOST", "127.0.0.1")
    };
    let mut cases: Vec<_> = strings
        .iter()
        .chain(&uris)
        .map(|text| with_defaults(case(&format!("-d {}", fill(text)))))
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
    let empty = || with_defaults(case(""));
    cases.extend(environment.map(|(name, value)| empty().env(name, value)));
    cases.extend([
        empty().env("PGREQUIRESSL", "1").env("PGSSLMODE", "prefer"),
        empty()
            .env("PGHOST", &fill("{dir}"))
            .env("PGREQUIREPEER", "x"),
        // A password file with insecure permissions is ignored if no password is needed.
        empty()
            .env("PGSSLMODE", "require")
            .env("PGPASSFILE", "/etc/passwd"),
    ]);
    assert_same_output(&bin, &cases);
}
