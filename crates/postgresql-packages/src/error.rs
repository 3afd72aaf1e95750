//! Errors of every step.

use std::io;
use std::path::PathBuf;

/// Reason why PostgreSQL could not be taken from packages.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The distribution does not use apt and dpkg.
    #[error(
        "the distribution has no {program}: only packages of Debian and Ubuntu can be unpacked without root"
    )]
    NoApt {
        /// The program that is missing.
        program: &'static str,
    },
    /// Neither `XDG_CACHE_HOME` nor `HOME` names an absolute path.
    #[error("no cache directory: neither XDG_CACHE_HOME nor HOME is an absolute path")]
    NoCacheDirectory,
    /// The package lists have no such package, most often because they could not be downloaded.
    #[error("apt offers no package {package}: {reason}")]
    NoPackage {
        /// Name of the package.
        package: String,
        /// First error of `apt-get update`, or the packages that there are instead.
        reason: String,
    },
    /// Packages could not be downloaded or verified.
    #[error("the packages of PostgreSQL could not be downloaded: {reason}")]
    Download {
        /// First error of `apt-get download`.
        reason: String,
    },
    /// A file or directory could not be read or written.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// Operation, as a participle.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// A program could not be started or failed.
    #[error("{program} failed: {reason}")]
    Program {
        /// Name or path of the program.
        program: String,
        /// Output of the program, or its exit status.
        reason: String,
    },
    /// Libraries that the programs load are in none of the packages.
    #[error("libraries of PostgreSQL are in none of its packages: {0}")]
    MissingLibraries(String),
    /// A file of the image is from none of the packages that were copied or unpacked, so its licence is unknown.
    #[error("{} is in none of the packages of PostgreSQL", .0.display())]
    NoOwner(PathBuf),
    /// A package that the image has files of does not state its licence.
    #[error("package {package} has no copyright file (/usr/share/doc/{package}/copyright)")]
    NoCopyright {
        /// Name of the package.
        package: String,
    },
}

/// Adds the operation and the path to an error of the system.
pub(crate) fn file(
    doing: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::File {
        doing,
        path,
        source,
    }
}
