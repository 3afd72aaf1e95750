//! TLS settings, against servers with a certificate of the test's own certificate authority.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;

pub(super) struct Authority {
    pub(super) issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Without its own name OpenSSL would treat the certificates that it signs as self-signed.
        params
            .distinguished_name
            .push(DnType::CommonName, "test certificate authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    /// Issues a certificate for `name`; returns it and its key as PEM.
    pub(super) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Starts a server with a certificate for `localhost`; `hba` has the rules for TCP, the socket is trusted.
pub(super) fn start_with_tls(bin: &Path, authority: &Authority, hba: &str) -> Server {
    start_with_tls_settings(bin, authority, hba, "")
}

fn start_with_tls_settings(bin: &Path, authority: &Authority, hba: &str, settings: &str) -> Server {
    let (certificate, key) = authority.issue("localhost");
    let server = Server::prepare(bin, &format!("ssl = on\n{settings}"))
        .with_hba(&format!("local all all trust\n{hba}"))
        .with_file("server.crt", &certificate)
        .with_file("server.key", &key)
        .started();
    server.sql("CREATE ROLE app LOGIN PASSWORD 's3cret'");
    server
}

#[test]
fn sslmode_determines_trust_as_in_libpq() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let authority = Authority::new();
    let server = start_with_tls(
        &bin,
        &authority,
        "hostssl all all 127.0.0.1/32 scram-sha-256\n",
    );
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let known = file("known.crt", authority.issuer.pem().as_str());
    let other = file("other.crt", Authority::new().issuer.pem().as_str());
    let broken = file("broken.crt", "nonsense");
    for (host, mode, root, expected, encrypted) in [
        ("127.0.0.1", "disable", "", "not_permitted", false),
        ("127.0.0.1", "prefer", "", "accepting", true),
        ("127.0.0.1", "require", "", "accepting", true),
        ("127.0.0.1", "require", &other, "tls_failed", false),
        ("127.0.0.1", "verify-ca", &known, "accepting", true),
        ("127.0.0.1", "verify-ca", &other, "tls_failed", false),
        ("127.0.0.1", "verify-ca", "/missing", "tls_failed", false),
        ("127.0.0.1", "verify-ca", &broken, "tls_failed", false),
        ("127.0.0.1", "verify-full", &known, "tls_failed", false),
        ("localhost", "verify-full", &known, "accepting", true),
        ("localhost", "verify-full", &other, "tls_failed", false),
    ] {
        let conninfo = format!(
            "host={host} hostaddr=127.0.0.1 port={} user=app dbname=postgres sslmode={mode} sslrootcert='{root}'",
            server.port
        );
        let environment = [("PGPASSWORD", "s3cret")];
        let checked = pg_ready(
            &server,
            "--output=json --check=login,write -d",
            &[&conninfo],
            &environment,
        );
        assert_eq!(
            state(&checked),
            expected,
            "{host} {mode} {root}: {}",
            text(&checked.stdout)
        );
        assert_eq!(json(&checked)["server"]["tls"], encrypted, "{mode}");
        // The status without a check is that of pg_isready.
        let theirs = Command::new(bin.join("pg_isready"))
            .args(["-d", &conninfo])
            .env_clear()
            .output()
            .unwrap();
        let ours = pg_ready(&server, "-d", &[&conninfo], &[]);
        assert_eq!(
            ours.status.code(),
            theirs.status.code(),
            "{host} {mode} {root}"
        );
    }
}

#[test]
fn login_is_repeated_with_the_other_encryption_as_in_libpq() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let hba = "hostssl all secret 127.0.0.1/32 trust\nhostnossl all plain 127.0.0.1/32 trust\n";
    let server = start_with_tls(&bin, &Authority::new(), hba);
    server.sql("CREATE ROLE plain LOGIN");
    server.sql("CREATE ROLE secret LOGIN");
    for (mode, role, expected, encrypted) in [
        ("prefer", "plain", "accepting", false),
        ("prefer", "secret", "accepting", true),
        ("allow", "plain", "accepting", false),
        ("allow", "secret", "accepting", true),
        ("disable", "secret", "not_permitted", false),
        ("require", "plain", "not_permitted", true),
    ] {
        let line = format!("-h 127.0.0.1 -p {{port}} -U {role} -d postgres --output=json");
        let ours = pg_ready(&server, &line, &["--check=login"], &[("PGSSLMODE", mode)]);
        assert_eq!(state(&ours), expected, "{mode} {role}");
        assert_eq!(json(&ours)["server"]["tls"], encrypted, "{mode} {role}");
        let theirs = Command::new(bin.join("psql"))
            .args([
                "-Xwc",
                "SELECT 1",
                "-h",
                "127.0.0.1",
                "-U",
                role,
                "-d",
                "postgres",
            ])
            .args(["-p", &server.port.to_string()])
            .env_clear()
            .env("PGSSLMODE", mode)
            .output()
            .unwrap();
        assert_eq!(
            ours.status.success(),
            theirs.status.success(),
            "{mode} {role}"
        );
    }
}

#[test]
fn server_without_tls_fails_if_tls_is_required() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    for (mode, expected) in [
        ("prefer", "accepting"),
        ("require", "tls_failed"),
        ("verify-full", "tls_failed"),
    ] {
        let line = "-h 127.0.0.1 -p {port} -U postgres --output=json --check=login";
        let output = pg_ready(&server, line, &[], &[("PGSSLMODE", mode)]);
        assert_eq!(state(&output), expected, "{mode}");
    }
}

#[test]
fn channel_binding_is_required_as_in_libpq() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let hba = "host trusted all 127.0.0.1/32 trust\nhost plain all 127.0.0.1/32 password\n\
               host all all 127.0.0.1/32 scram-sha-256\n";
    let server = start_with_tls(&bin, &Authority::new(), hba);
    server.sql("CREATE DATABASE trusted");
    server.sql("CREATE DATABASE plain");
    for (database, tls, binding, expected) in [
        ("postgres", "require", "require", "accepting"),
        ("postgres", "require", "prefer", "accepting"),
        ("postgres", "require", "disable", "accepting"),
        ("postgres", "disable", "require", "tls_failed"),
        ("postgres", "disable", "prefer", "accepting"),
        ("plain", "require", "require", "tls_failed"),
        ("plain", "require", "prefer", "accepting"),
        ("trusted", "require", "require", "tls_failed"),
        ("trusted", "require", "disable", "accepting"),
    ] {
        let conninfo = format!(
            "host=127.0.0.1 port={} user=app password=s3cret dbname={database} sslmode={tls} channel_binding={binding}",
            server.port
        );
        let ours = pg_ready(&server, "--output=json --check=login -d", &[&conninfo], &[]);
        let case = format!("{database} {tls} {binding}: {}", text(&ours.stdout));
        assert_eq!(state(&ours), expected, "{case}");
        let theirs = Command::new(bin.join("psql"))
            .args(["-Xwc", "SELECT 1", &conninfo])
            .env_clear()
            .output()
            .unwrap();
        assert_eq!(ours.status.success(), theirs.status.success(), "{case}");
    }
}

#[test]
fn tls_version_outside_the_range_fails_as_in_pg_isready() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let hba = "hostssl all all 127.0.0.1/32 trust\n";
    let settings = "ssl_max_protocol_version = 'TLSv1.2'\n";
    let server = start_with_tls_settings(&bin, &Authority::new(), hba, settings);
    for (versions, expected) in [
        ("", "accepting"),
        ("ssl_min_protocol_version=TLSv1.3", "tls_failed"),
        ("ssl_max_protocol_version=tlsv1.2", "accepting"),
        (
            "ssl_min_protocol_version=TLSv1 ssl_max_protocol_version=TLSv1.1",
            "tls_failed",
        ),
        (
            "ssl_min_protocol_version=TLSv1 ssl_max_protocol_version=TLSv1.2",
            "accepting",
        ),
    ] {
        let conninfo = format!(
            "host=127.0.0.1 port={} user=app dbname=postgres sslmode=require {versions}",
            server.port
        );
        let ours = pg_ready(&server, "--output=json --check=login -d", &[&conninfo], &[]);
        assert_eq!(state(&ours), expected, "{versions}: {}", text(&ours.stdout));
        let theirs = Command::new(bin.join("pg_isready"))
            .args(["-d", &conninfo])
            .env_clear()
            .output()
            .unwrap();
        let ours = pg_ready(&server, "-d", &[&conninfo], &[]);
        assert_eq!(ours.status.code(), theirs.status.code(), "{versions}");
    }
}
