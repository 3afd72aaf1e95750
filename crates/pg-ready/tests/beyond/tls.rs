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

#[test]
fn each_sslmode_trusts_what_it_should() {
    let Some(bin) = pg_fixture::programs() else {
        return;
    };
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost");
    let server = Server::prepare(&bin, "ssl = on\n")
        .with_hba("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        .with_file("server.crt", &certificate)
        .with_file("server.key", &key)
        .started();
    server.sql("CREATE ROLE app LOGIN PASSWORD 's3cret'");
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
    let Some(bin) = pg_fixture::programs() else {
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
