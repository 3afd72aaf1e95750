//! libpq's TLS settings (`sslmode` and others), implemented with rustls.

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

/// libpq's `sslmode`, ordered by strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// No TLS.
    Disable,
    /// TLS if the server supports it. `allow` is treated as this mode too, because it accepts both and this one is
    /// safer.
    Prefer,
    /// TLS with any certificate, or, as in libpq, with one signed by the root certificate if that file exists.
    Require,
    /// TLS with a certificate signed by the root certificate.
    VerifyCa,
    /// TLS with a certificate signed by the root certificate for the server's host name.
    VerifyFull,
}

/// TLS settings of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSettings {
    /// Strictness of encryption and verification.
    pub mode: Mode,
    /// Path of the trusted root certificates (PEM), which may not exist.
    pub root_certificate: Option<PathBuf>,
    /// Paths of the client's certificate and private key (PEM).
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// libpq's `channel_binding`: proves a SCRAM password only to the owner of the server's certificate.
    pub channel_binding: ChannelBinding,
    /// Allowed TLS versions, of those that rustls supports.
    pub versions: Vec<&'static SupportedProtocolVersion>,
}

/// TLS settings that cannot be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is missing or invalid.
    #[error("could not read {kind} {}: {error}", .path.display())]
    File {
        /// Kind of the file.
        kind: &'static str,
        /// Path of the file.
        path: PathBuf,
        /// Reason.
        error: String,
    },
    /// `sslmode` requires a root certificate, and its file does not exist.
    #[error("root certificate file {} does not exist; set sslrootcert, or change sslmode", .0.display())]
    NoRoot(PathBuf),
    /// rustls rejects a certificate or key.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// rustls cannot create the verifier.
    #[error(transparent)]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

impl TlsSettings {
    /// Converts libpq's settings. Files without a setting default to libpq's names in `.postgresql` of `home`.
    ///
    /// The client certificate is used only if its file exists. Invalid values count as libpq's defaults.
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
            root_certificate: file("sslrootcert", "root.crt"),
            client_certificate: certificate.zip(file("sslkey", "postgresql.key")),
            channel_binding: match get("channel_binding").map(String::as_str) {
                Some("disable") => ChannelBinding::Disable,
                Some("require") => ChannelBinding::Require,
                _ => ChannelBinding::Prefer,
            },
            versions: allowed_versions(
                get("ssl_min_protocol_version"),
                get("ssl_max_protocol_version"),
            ),
        }
    }

    /// Creates a rustls configuration; reads the certificate files each time, so that replaced files take effect.
    ///
    /// # Errors
    /// If a file is missing or invalid.
    pub fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.versions)?;
        let root = self
            .root_certificate
            .as_deref()
            .filter(|root| root.exists());
        // As in libpq, an existing root certificate makes `require` verify as `verify-ca` does.
        let builder = match (self.mode, root) {
            (Mode::Disable | Mode::Prefer, _) | (Mode::Require, None) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
            (_, None) => {
                return Err(TlsError::NoRoot(
                    self.root_certificate.clone().unwrap_or_default(),
                ));
            }
            (mode, Some(root)) => {
                let roots = load_roots(root)?.into();
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(roots, provider).build()?;
                if mode == Mode::VerifyFull {
                    builder.with_webpki_verifier(verifier)
                } else {
                    builder
                        .dangerous()
                        .with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
                }
            }
        };
        let config = match &self.client_certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(load_certificates(certificate)?, load_private_key(key)?)?,
        };
        Ok(config)
    }
}

/// Compares versions by name, which sort in ascending order; libpq ignores case.
fn allowed_versions(
    min: Option<&String>,
    max: Option<&String>,
) -> Vec<&'static SupportedProtocolVersion> {
    let (min, max) = (
        min.map(|name| name.to_ascii_lowercase()),
        max.map(|name| name.to_ascii_lowercase()),
    );
    let is_allowed = |name: &str| {
        min.as_deref().is_none_or(|min| min <= name) && max.as_deref().is_none_or(|max| name <= max)
    };
    let supported = [("tlsv1.2", &TLS12), ("tlsv1.3", &TLS13)];
    let allowed = supported.into_iter().filter(|(name, _)| is_allowed(name));
    allowed.map(|(_, version)| version).collect()
}

fn load_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in load_certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn load_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file_error = |error: String| TlsError::File {
        kind: "certificate file",
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(|error| file_error(error.to_string()))?;
    let found =
        CertificateDer::pem_reader_iter(BufReader::new(file)).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| file_error(error.to_string()))?;
    if found.is_empty() {
        return Err(file_error("no PEM certificate found".to_owned()));
    }
    Ok(found)
}

fn load_private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::File {
        kind: "private key file",
        path: path.to_owned(),
        error: error.to_string(),
    })
}
