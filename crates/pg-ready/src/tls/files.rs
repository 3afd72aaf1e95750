//! Certificate, key and revocation files.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::TlsError;

pub(super) fn load_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in load_certificates(path)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// Loads the certificates that the operating system trusts, without those that webpki cannot parse.
pub(super) fn load_system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(TlsError::NoSystemRoots);
    }
    Ok(roots)
}

pub(super) fn load_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = load_pem(path, "certificate file")?;
    if found.is_empty() {
        return Err(file_error(
            "certificate file",
            path,
            "no PEM certificate found",
        ));
    }
    Ok(found)
}

/// Loads the revocation lists of files and of the files in directories. As in libpq, a missing file contains none.
pub(super) fn load_revocation_lists(
    paths: &[PathBuf],
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    const KIND: &str = "certificate revocation list";
    let mut lists = Vec::new();
    for path in paths.iter().filter(|path| path.exists()) {
        if !path.is_dir() {
            lists.extend(load_pem(path, KIND)?);
            continue;
        }
        let entries = path
            .read_dir()
            .and_then(Iterator::collect::<Result<Vec<_>, _>>);
        for entry in entries.map_err(|error| file_error(KIND, path, &error.to_string()))? {
            lists.extend(load_pem(&entry.path(), KIND)?);
        }
    }
    Ok(lists)
}

pub(super) fn load_private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        let error = format!("{error} (encrypted keys and sslpassword are not supported)");
        file_error("private key file", path, &error)
    })
}

fn load_pem<T: PemObject>(path: &Path, kind: &'static str) -> Result<Vec<T>, TlsError> {
    let items = T::pem_file_iter(path).and_then(Iterator::collect);
    items.map_err(|error| file_error(kind, path, &error.to_string()))
}

fn file_error(kind: &'static str, path: &Path, error: &str) -> TlsError {
    TlsError::File {
        kind,
        path: path.to_owned(),
        error: error.to_owned(),
    }
}
