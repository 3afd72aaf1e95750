//! TLS as `sslmode` asks for it, against a server with a certificate of a test's own authority.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Without a name of its own OpenSSL takes what it signs for signed by itself.
        params
            .distinguished_name
            .push(DnType::CommonName, "the authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    /// A certificate for one name, and its key.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A server with a certificate for `localhost`; who may come over its socket is said already.
fn encrypting(bin: &Path, authority: &Authority, hba: &str) -> Server {
    encrypting_with(bin, authority, hba, "")
}

fn encrypting_with(bin: &Path, authority: &Authority, hba: &str, settings: &str) -> Server {
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
fn each_sslmode_trusts_what_it_should() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let authority = Authority::new();
    let server = encrypting(
        &bin,
        &authority,
        "hostssl all all 127.0.0.1/32 scram-sha-256\n",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
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
        ("127.0.0.1", "require", &other, "tls_refused", false),
        ("127.0.0.1", "verify-ca", &known, "accepting", true),
        ("127.0.0.1", "verify-ca", &other, "tls_refused", false),
        ("127.0.0.1", "verify-ca", "/nowhere", "tls_refused", false),
        ("127.0.0.1", "verify-ca", &broken, "tls_refused", false),
        ("127.0.0.1", "verify-full", &known, "tls_refused", false),
        ("localhost", "verify-full", &known, "accepting", true),
        ("localhost", "verify-full", &other, "tls_refused", false),
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
        // The contract's answer is the real pg_isready's.
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
fn a_server_without_tls_is_refused_where_tls_is_demanded() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    for (mode, expected) in [
        ("prefer", "accepting"),
        ("require", "tls_refused"),
        ("verify-full", "tls_refused"),
    ] {
        let line = "-h 127.0.0.1 -p {port} -U postgres --output=json --check=login";
        let output = pg_ready(&server, line, &[], &[("PGSSLMODE", mode)]);
        assert_eq!(state(&output), expected, "{mode}");
    }
}

#[test]
fn a_password_is_bound_to_the_certificate_where_that_is_demanded_as_by_libpq() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let hba = "host trusted all 127.0.0.1/32 trust\nhost plain all 127.0.0.1/32 password\n\
               host all all 127.0.0.1/32 scram-sha-256\n";
    let server = encrypting(&bin, &Authority::new(), hba);
    server.sql("CREATE DATABASE trusted");
    server.sql("CREATE DATABASE plain");
    for (database, tls, binding, expected) in [
        ("postgres", "require", "require", "accepting"),
        ("postgres", "require", "prefer", "accepting"),
        ("postgres", "require", "disable", "accepting"),
        ("postgres", "disable", "require", "tls_refused"),
        ("postgres", "disable", "prefer", "accepting"),
        ("plain", "require", "require", "tls_refused"),
        ("plain", "require", "prefer", "accepting"),
        ("trusted", "require", "require", "tls_refused"),
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
fn a_version_of_tls_that_will_not_do_is_refused_as_by_pg_isready() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let hba = "hostssl all all 127.0.0.1/32 trust\n";
    let settings = "ssl_max_protocol_version = 'TLSv1.2'\n";
    let server = encrypting_with(&bin, &Authority::new(), hba, settings);
    for (versions, expected) in [
        ("", "accepting"),
        ("ssl_min_protocol_version=TLSv1.3", "tls_refused"),
        ("ssl_max_protocol_version=tlsv1.2", "accepting"),
        (
            "ssl_min_protocol_version=TLSv1 ssl_max_protocol_version=TLSv1.1",
            "tls_refused",
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
