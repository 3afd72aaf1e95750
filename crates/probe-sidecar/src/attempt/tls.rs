//! Reads the files of a TLS client.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::BuildError;
use super::certificate::{Expiry, RecordingVerifier};
use crate::spec::TlsFiles;

/// Creates the TLS settings of a client, which record the expiry of the certificate of the server.
pub(crate) fn config(files: &TlsFiles, expiry: Expiry) -> Result<ClientConfig, BuildError> {
    let roots = files.ca.as_deref().map(roots).transpose()?;
    let identity = match &files.client {
        None => None,
        Some((certificate, key)) => {
            let read = PrivateKeyDer::from_pem_file(key);
            let key = read.map_err(|error| unreadable("the private key", key, &error))?;
            Some((certificates(certificate)?, key))
        }
    };
    let client = || {
        let verifier = probe::tls::verifier(roots)?;
        let verifier = Arc::new(RecordingVerifier { verifier, expiry });
        let mut config = probe::tls::client_with_verifier(verifier, identity)?;
        // A resumed session has no certificate.
        config.resumption = Resumption::disabled();
        Ok(config)
    };
    client().map_err(|error: rustls::Error| BuildError::new(format!("TLS: {error}")))
}

fn roots(path: &Path) -> Result<RootCertStore, BuildError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| unreadable("certificates in", path, &error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| unreadable("certificates in", path, &error))?;
    if read.is_empty() {
        return Err(unreadable(
            "certificates in",
            path,
            &"it contains no certificate",
        ));
    }
    Ok(read)
}

fn unreadable(content: &str, path: &Path, cause: &dyn std::fmt::Display) -> BuildError {
    BuildError::new(format!("cannot read {content} {}: {cause}", path.display()))
}
