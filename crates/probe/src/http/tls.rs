//! TLS as the kubelet probes with it: any certificate is good enough.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::fault::{Fault, Stream};
use crate::dial::Connection;
use crate::outcome::Reason;

/// Client settings that offer HTTP/2 where `http2` is set.
pub(super) fn config(http2: bool) -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let any = Arc::new(AnyCertificate(provider.clone()));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for the default versions")
        .dangerous()
        .with_custom_certificate_verifier(any)
        .with_no_client_auth();
    config.alpn_protocols = if http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Arc::new(config)
}

/// A session over `connection`, and whether HTTP/2 was agreed on.
pub(super) async fn handshake(
    config: Arc<ClientConfig>,
    host: &str,
    connection: Connection,
) -> Result<(Box<dyn Stream>, bool), Fault> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| Fault::new(Reason::Tls, format!("tls: {error}")))?;
    let head = connection.head();
    match TlsConnector::from(config).connect(name, connection).await {
        Ok(stream) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Ok((Box::new(stream), http2))
        }
        Err(_) if head.bytes().starts_with(b"HTTP/") => Err(Fault::new(
            Reason::Tls,
            "http: server gave HTTP response to HTTPS client",
        )),
        Err(_) if head.bytes().is_empty() => Err(Fault::new(Reason::Tls, "EOF")),
        Err(error) => Err(Fault::new(Reason::Tls, format!("tls: {error}"))),
    }
}

/// Trusts whatever the server shows. A probe asks whether it answers, not who it is.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
