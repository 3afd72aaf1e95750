//! Images of the local runtime: a table of names, each with the program of this host that is run for it.

mod postgres;
mod reference;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use self::reference::{familiar, is_reference, tagged, untagged};
use super::root;
use super::spec::Fittings;
use crate::{Image, ImageError};

/// A program of this host that is run for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageProgram {
    /// The executable file.
    pub file: PathBuf,
    /// File name of the program in the container, which one executable may have several of.
    pub name: String,
    /// Software of the host that the container needs beside the program.
    pub requirement: Requirement,
}

/// Software of the host that an image's program needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The program alone is enough.
    None,
    /// A PostgreSQL installation, and a root like that of the official `postgres` image.
    PostgreSql,
}

/// Names of images to programs. A name without a tag matches every tag that has no entry of its own.
#[derive(Clone, Debug, Default)]
pub struct Images {
    table: BTreeMap<String, ImageProgram>,
    overrides: BTreeMap<String, ImageProgram>,
}

/// A resolved image: its facts for the kubelet, and what a container is made from.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) image: Image,
    pub(super) program: PathBuf,
    pub(super) program_name: String,
    pub(super) fittings: Fittings,
}

impl Images {
    /// Adds `name` to the table.
    pub fn insert(&mut self, name: &str, program: ImageProgram) {
        self.table.insert(familiar(name).to_owned(), program);
    }

    /// Runs `program` for `name` even if the table has an entry that matches.
    pub fn insert_override(&mut self, name: &str, program: ImageProgram) {
        self.overrides.insert(familiar(name).to_owned(), program);
    }

    /// Checks that a program stands for the image, and that what it needs is installed.
    ///
    /// # Errors
    /// The error that the kubelet reports for a container of this image.
    pub fn check(&self, reference: &str) -> Result<(), ImageError> {
        self.resolve(reference).map(drop)
    }

    pub(super) fn resolve(&self, reference: &str) -> Result<Found, ImageError> {
        if !is_reference(reference) {
            return Err(ImageError::InvalidName(reference.to_owned()));
        }
        let name = familiar(reference);
        let names = [name, &tagged(name), untagged(name)];
        let mut tables = [&self.overrides, &self.table].into_iter();
        let program = tables
            .find_map(|table| names.iter().find_map(|name| table.get(*name)))
            .ok_or_else(|| ImageError::Unknown(reference.to_owned()))?;
        let image = Image {
            reference: reference.to_owned(),
            id: identity(program),
            entrypoint: vec![root::program(&program.name)],
            env: Vec::new(),
            stop_signal: None,
        };
        let found = Found {
            image,
            program: program.file.clone(),
            program_name: program.name.clone(),
            fittings: Fittings::default(),
        };
        match program.requirement {
            Requirement::None => Ok(found),
            Requirement::PostgreSql => {
                let installed = todo_db::installation::find(postgres::major(reference));
                postgres::fit(found, installed)
            }
        }
    }
}

/// Digest that changes when the executable does, and differs between the programs of one executable.
fn identity(program: &ImageProgram) -> String {
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
