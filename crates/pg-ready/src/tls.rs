//! libpq's TLS settings (`sslmode` and others), implemented with rustls.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use tokio_postgres::config::ChannelBinding;

use crate::conninfo::Settings;

mod files;
mod verify;

use verify::{AnyCertificate, AnyName};

/// Protocol name of PostgreSQL in TLS (ALPN); servers since version 17 require it for `sslnegotiation=direct`.
const ALPN_PROTOCOL: &[u8] = b"postgresql";

/// libpq's `sslmode`, ordered by strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// No TLS.
    Disable,
    /// TLS only if the server rejects the role without it.
    Allow,
    /// TLS if the server supports it.
    Prefer,
    /// TLS with any certificate, or, as in libpq, with one signed by the root certificate if that file exists.
    Require,
    /// TLS with a certificate signed by the root certificate.
    VerifyCa,
    /// TLS with a certificate signed by the root certificate for the server's host name.
    VerifyFull,
}

/// libpq's `sslnegotiation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negotiation {
    /// TLS after an `SSLRequest`.
    Postgres,
    /// TLS from the first byte, which servers support since version 17.
    Direct,
}

/// Source of the trusted root certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootCertificates {
    /// A file (PEM), which may not exist.
    File(PathBuf),
    /// The certificates that the operating system trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    System,
}

/// TLS settings of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsSettings {
    /// Strictness of encryption and verification.
    pub mode: Mode,
    /// Start of the handshake.
    pub negotiation: Negotiation,
    /// Trusted root certificates.
    pub roots: Option<RootCertificates>,
    /// Paths of certificate revocation lists (PEM), as files or directories, which may not exist.
    pub revocation_lists: Vec<PathBuf>,
    /// Paths of the client's certificate and private key (PEM).
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// `true` if the handshake contains the host name (SNI).
    pub sends_server_name: bool,
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
    /// `sslrootcert=system`, and the operating system has no certificates.
    #[error(
        "no trusted certificates of the system found; set SSL_CERT_FILE, or sslrootcert to a file"
    )]
    NoSystemRoots,
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
        let get = |name: &str| {
            settings
                .get(name)
                .map(String::as_str)
                .filter(|value| !value.is_empty())
        };
        let file = |keyword: &str, name: &str| {
            get(keyword)
                .map(PathBuf::from)
                .or_else(|| Some(home?.join(".postgresql").join(name)))
        };
        let certificate = file("sslcert", "postgresql.crt")
            .filter(|path| get("sslcertmode") != Some("disable") && path.exists());
        let roots = match get("sslrootcert") {
            Some("system") => Some(RootCertificates::System),
            _ => file("sslrootcert", "root.crt").map(RootCertificates::File),
        };
        Self {
            mode: match get("sslmode") {
                Some("disable") => Mode::Disable,
                Some("allow") => Mode::Allow,
                Some("require") => Mode::Require,
                Some("verify-ca") => Mode::VerifyCa,
                Some("verify-full") => Mode::VerifyFull,
                None if roots == Some(RootCertificates::System) => Mode::VerifyFull,
                _ => Mode::Prefer,
            },
            negotiation: match get("sslnegotiation") {
                Some("direct") => Negotiation::Direct,
                _ => Negotiation::Postgres,
            },
            roots,
            revocation_lists: match get("sslcrldir") {
                Some(dir) => get("sslcrl")
                    .into_iter()
                    .chain([dir])
                    .map(PathBuf::from)
                    .collect(),
                None => file("sslcrl", "root.crl").into_iter().collect(),
            },
            client_certificate: certificate.zip(file("sslkey", "postgresql.key")),
            sends_server_name: get("sslsni") != Some("0"),
            channel_binding: match get("channel_binding") {
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
            .with_protocol_versions(&self.versions)?
            .dangerous();
        let builder = match self.verifier(&provider)? {
            None => builder.with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
            Some(verifier) if self.mode == Mode::VerifyFull => {
                builder.with_custom_certificate_verifier(verifier)
            }
            Some(verifier) => builder.with_custom_certificate_verifier(Arc::new(AnyName(verifier))),
        };
        let mut config = match &self.client_certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder.with_client_auth_cert(
                files::load_certificates(certificate)?,
                files::load_private_key(key)?,
            )?,
        };
        config.enable_sni = self.sends_server_name;
        config.alpn_protocols = vec![ALPN_PROTOCOL.to_vec()];
        // A check makes one connection, so a session is never resumed.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// Returns the verifier of certificates, or `None` if every certificate is accepted.
    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<WebPkiServerVerifier>>, TlsError> {
        let roots = match &self.roots {
            _ if self.mode <= Mode::Prefer => return Ok(None),
            Some(RootCertificates::System) => files::load_system_roots()?,
            Some(RootCertificates::File(file)) if file.exists() => files::load_roots(file)?,
            // As in libpq, an existing root certificate makes `require` verify as `verify-ca` does.
            _ if self.mode == Mode::Require => return Ok(None),
            Some(RootCertificates::File(file)) => return Err(TlsError::NoRoot(file.clone())),
            None => return Err(TlsError::NoRoot(PathBuf::new())),
        };
        let revoked = files::load_revocation_lists(&self.revocation_lists)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone())
            .with_crls(revoked);
        Ok(Some(verifier.build()?))
    }
}

/// Compares versions by name, which sort in ascending order; libpq ignores case.
fn allowed_versions(
    min: Option<&str>,
    max: Option<&str>,
) -> Vec<&'static SupportedProtocolVersion> {
    let (min, max) = (
        min.map(str::to_ascii_lowercase),
        max.map(str::to_ascii_lowercase),
    );
    let is_allowed = |name: &str| {
        min.as_deref().is_none_or(|min| min <= name) && max.as_deref().is_none_or(|max| name <= max)
    };
    let supported = [("tlsv1.2", &TLS12), ("tlsv1.3", &TLS13)];
    let allowed = supported.into_iter().filter(|(name, _)| is_allowed(name));
    allowed.map(|(_, version)| version).collect()
}
