//! Reads the files of a TLS client.

use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::BuildError;
use crate::spec::TlsFiles;

pub(crate) fn config(files: &TlsFiles) -> Result<ClientConfig, BuildError> {
    let roots = files.ca.as_deref().map(roots).transpose()?;
    let identity = match &files.client {
        None => None,
        Some((certificate, key)) => {
            let read = PrivateKeyDer::from_pem_file(key);
            let key = read.map_err(|error| unreadable("the private key", key, &error))?;
            Some((certificates(certificate)?, key))
        }
    };
    probe::tls::build_client_config(roots, identity)
        .map_err(|error| BuildError::new(format!("TLS: {error}")))
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
