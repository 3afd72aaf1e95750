//! Maps image references to host programs.

mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use self::reference::{familiar, is_reference, tagged, untagged};
use super::child::rootfs;
use super::spec::ImageFiles;
use crate::{Image, ImageError};

/// A program of this host that is run for an image.
#[derive(Clone, Debug)]
pub struct ImageProgram {
    /// The executable file, which is the image's `ENTRYPOINT`.
    pub file: PathBuf,
    /// File name of the program in the container. One executable may contain several programs.
    pub name: String,
    /// `CMD`: arguments that `args` of the manifest replace.
    pub cmd: Vec<String>,
    /// Finds the software of this host that the program needs; `None` if it needs none.
    pub host_software: Option<FindHostSoftware>,
}

/// Finds the host software for an image reference, or returns [`ImageError::NotInstalled`].
pub type FindHostSoftware = fn(reference: &str) -> Result<HostSoftware, ImageError>;

/// Software of this host in an image's root file system.
#[derive(Debug, Default)]
pub struct HostSoftware {
    /// `ENV`: environment variables of the image.
    pub env: Vec<(String, String)>,
    /// `STOPSIGNAL`; SIGTERM by default.
    pub stop_signal: Option<String>,
    /// Content of the root file system.
    pub files: ImageFiles,
}

/// Names of images to programs. A name without a tag matches every tag that has no entry of its own.
#[derive(Clone, Debug, Default)]
pub struct ImageMap {
    table: BTreeMap<String, ImageProgram>,
    overrides: BTreeMap<String, ImageProgram>,
}

/// A resolved image: its data for the kubelet, and the content of its root file system.
#[derive(Debug)]
pub(super) struct ResolvedImage {
    pub(super) image: Image,
    pub(super) program: PathBuf,
    pub(super) program_name: String,
    pub(super) files: ImageFiles,
}

impl ImageMap {
    /// Adds `name` to the table.
    pub fn insert(&mut self, name: &str, program: ImageProgram) {
        self.table.insert(familiar(name).to_owned(), program);
    }

    /// Runs `program` for `name` even if the table has an entry that matches.
    pub fn insert_override(&mut self, name: &str, program: ImageProgram) {
        self.overrides.insert(familiar(name).to_owned(), program);
    }

    /// Checks that a program is mapped to the image, and that the software that it needs is installed.
    ///
    /// # Errors
    /// The error that the kubelet reports for a container of this image.
    pub fn check(&self, reference: &str) -> Result<(), ImageError> {
        self.resolve(reference).map(drop)
    }

    pub(super) fn resolve(&self, reference: &str) -> Result<ResolvedImage, ImageError> {
        if !is_reference(reference) {
            return Err(ImageError::InvalidName(reference.to_owned()));
        }
        let name = familiar(reference);
        let names = [name, &tagged(name), untagged(name)];
        let mut tables = [&self.overrides, &self.table].into_iter();
        let program = tables
            .find_map(|table| names.iter().find_map(|name| table.get(*name)))
            .ok_or_else(|| ImageError::Unknown {
                image: reference.to_owned(),
                name: untagged(name).to_owned(),
                available: self.available(),
            })?;
        let software = program
            .host_software
            .map_or_else(|| Ok(HostSoftware::default()), |find| find(reference))?;
        Ok(ResolvedImage {
            image: Image {
                reference: reference.to_owned(),
                id: image_id(program),
                entrypoint: vec![rootfs::program_path(&program.name)],
                cmd: program.cmd.clone(),
                env: software.env,
                stop_signal: software.stop_signal,
            },
            program: program.file.clone(),
            program_name: program.name.clone(),
            files: software.files,
        })
    }

    /// Returns the names of all images without their tags, joined by commas.
    fn available(&self) -> String {
        let names = self.table.keys().chain(self.overrides.keys());
        let names: BTreeSet<&str> = names.map(|name| untagged(name)).collect();
        Vec::from_iter(names).join(", ")
    }
}

/// Returns a digest that changes when the executable does, and differs between the programs of one executable.
fn image_id(program: &ImageProgram) -> String {
    let mut hash = Sha256::new();
    hash.update(program.file.as_os_str().as_encoded_bytes());
    hash.update([0]);
    hash.update(program.name.as_bytes());
    if let Ok(metadata) = program.file.metadata() {
        hash.update(metadata.len().to_le_bytes());
        hash.update(metadata.mtime().to_le_bytes());
        hash.update(metadata.mtime_nsec().to_le_bytes());
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests;
