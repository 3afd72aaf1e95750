//! TLS as libpq's `sslmode` asks for it, by rustls.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio_postgres::config::ChannelBinding;

use crate::conninfo::Settings;

mod verify;

use verify::{AnyCertificate, AnyName};

/// What `sslmode` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Never.
    Disable,
    /// If the server has it; `allow` is read as this as well, for who takes either may as well take the better.
    Prefer,
    /// Always, whoever the server is.
    Require,
    /// Always, with a certificate of a known authority.
    VerifyCa,
    /// Always, with a certificate of a known authority in the server's name.
    VerifyFull,
}

/// What a session's TLS is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// Whether, and how much to trust.
    pub mode: Mode,
    /// The authorities that are known.
    pub root: Option<PathBuf>,
    /// The certificate that is shown to the server, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Whether a password is to be proven to the owner of the server's certificate and to nobody else.
    pub binding: ChannelBinding,
    /// The versions of TLS that will do, of those that rustls has.
    pub versions: Vec<&'static SupportedProtocolVersion>,
}

/// TLS that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that does not hold what it should.
    #[error("could not read {what} {}: {error}", .path.display())]
    File {
        /// What it should hold.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: String,
    },
    /// No authority is known, and one was asked for.
    #[error("root certificate file {} does not exist; name one with sslrootcert, or change sslmode", .0.display())]
    NoRoot(PathBuf),
    /// What rustls refuses.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// Verification that cannot be set up.
    #[error(transparent)]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

impl TlsSettings {
    /// Reads libpq's settings; files that are not named are looked for in `~/.postgresql`.
    #[must_use]
    pub fn new(settings: &Settings, home: Option<&Path>) -> Self {
        let get = |name: &str| settings.get(name).filter(|value| !value.is_empty());
        let file = |keyword: &str, name: &str| {
            get(keyword)
                .map(PathBuf::from)
                .or_else(|| Some(home?.join(".postgresql").join(name)))
        };
        let certificate = file("sslcert", "postgresql.crt").filter(|path| path.exists());
        Self {
            mode: match get("sslmode").map(String::as_str) {
                Some("disable") => Mode::Disable,
                Some("require") => Mode::Require,
                Some("verify-ca") => Mode::VerifyCa,
                Some("verify-full") => Mode::VerifyFull,
                _ => Mode::Prefer,
            },
            root: file("sslrootcert", "root.crt"),
            client: certificate.zip(file("sslkey", "postgresql.key")),
            binding: match get("channel_binding").map(String::as_str) {
                Some("disable") => ChannelBinding::Disable,
                Some("require") => ChannelBinding::Require,
                _ => ChannelBinding::Prefer,
            },
            versions: versions(
                get("ssl_min_protocol_version"),
                get("ssl_max_protocol_version"),
            ),
        }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// When one of them is missing or holds something else.
    pub fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.versions)?;
        let root = self.root.as_deref().filter(|root| root.exists());
        // As in libpq, a known authority makes `require` ask for its signature.
        let builder = match (self.mode, root) {
            (Mode::Disable | Mode::Prefer, _) | (Mode::Require, None) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
            (_, None) => return Err(TlsError::NoRoot(self.root.clone().unwrap_or_default())),
            (mode, Some(root)) => {
                let known =
                    WebPkiServerVerifier::builder_with_provider(roots(root)?.into(), provider)
                        .build()?;
                if mode == Mode::VerifyFull {
                    builder.with_webpki_verifier(known)
                } else {
                    builder
                        .dangerous()
                        .with_custom_certificate_verifier(Arc::new(AnyName(known)))
                }
            }
        };
        let config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?)?
            }
        };
        Ok(config)
    }
}

/// The names of the versions are in their order, whatever the size of their letters.
fn versions(
    oldest: Option<&String>,
    newest: Option<&String>,
) -> Vec<&'static SupportedProtocolVersion> {
    let (oldest, newest) = (
        oldest.map(|name| name.to_ascii_lowercase()),
        newest.map(|name| name.to_ascii_lowercase()),
    );
    let will_do = |name: &str| {
        oldest.as_deref().is_none_or(|oldest| oldest <= name)
            && newest.as_deref().is_none_or(|newest| name <= newest)
    };
    let known = [("tlsv1.2", &TLS12), ("tlsv1.3", &TLS13)];
    let known = known.into_iter().filter(|(name, _)| will_do(name));
    known.map(|(_, version)| version).collect()
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |error: String| TlsError::File {
        what: "certificates in",
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let found =
        CertificateDer::pem_reader_iter(BufReader::new(file)).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| unreadable(error.to_string()))?;
    if found.is_empty() {
        return Err(unreadable("it holds none".to_owned()));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::File {
        what: "the private key",
        path: path.to_owned(),
        error: error.to_string(),
    })
}
