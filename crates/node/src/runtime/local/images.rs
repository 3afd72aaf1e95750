//! Which program stands for which image.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::runtime::{Image, ImageError};

/// The images that this workspace's own programs stand for: by their names, and by the chapter's.
const OWN: [(&str, &str); 2] = [
    ("selfheal/numbers-api", "numbers-api"),
    ("kiamol/ch03-numbers-api", "numbers-api"),
];

/// Names to programs; a name counts with any tag unless it has one of its own.
#[derive(Clone, Debug, Default)]
pub struct Images(BTreeMap<String, PathBuf>);

impl Images {
    /// This workspace's programs, where they lie in `folder`.
    #[must_use]
    pub fn own(folder: &Path) -> Self {
        let found = OWN
            .iter()
            .map(|(name, program)| ((*name).to_owned(), folder.join(program)));
        Self(found.filter(|(_, program)| program.is_file()).collect())
    }

    /// Lets `program` stand for `name`.
    pub fn insert(&mut self, name: &str, program: PathBuf) {
        self.0.insert(familiar(name).to_owned(), program);
    }

    pub(super) fn resolve(&self, reference: &str) -> Result<(Image, PathBuf), ImageError> {
        if !is_reference(reference) {
            return Err(ImageError::InvalidName(reference.to_owned()));
        }
        let name = familiar(reference);
        let program = self.0.get(name).or_else(|| self.0.get(untagged(name)));
        let program = program.ok_or_else(|| ImageError::Unknown(reference.to_owned()))?;
        let file = program.file_name().unwrap_or_default().to_string_lossy();
        let image = Image {
            reference: reference.to_owned(),
            id: identity(program),
            entrypoint: vec![format!("/app/{file}")],
            env: Vec::new(),
            stop_signal: None,
        };
        Ok((image, program.clone()))
    }
}

/// A reference as people write it: without the registry and the folder that are meant where none is named.
fn familiar(reference: &str) -> &str {
    let short = reference.strip_prefix("docker.io/").unwrap_or(reference);
    short.strip_prefix("library/").unwrap_or(short)
}

fn untagged(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or_default();
    match name.rsplit_once(':') {
        // A colon before a slash is a registry's port.
        Some((base, tag)) if !tag.contains('/') => base,
        _ => name,
    }
}

/// Lower-case names in folders, then perhaps a tag and a digest.
fn is_reference(reference: &str) -> bool {
    let name = untagged(reference);
    let is_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-:".contains(&byte);
    let parts_are_names = name.split('/').all(|part| {
        !part.is_empty()
            && part.bytes().all(is_name)
            && part
                .bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_alphanumeric())
    });
    let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:@".contains(&byte);
    parts_are_names && reference[name.len()..].bytes().all(is_tag)
}

/// Changes whenever the program does.
fn identity(program: &Path) -> String {
    let mut hash = Sha256::new();
    hash.update(program.to_string_lossy().as_bytes());
    if let Ok(metadata) = program.metadata() {
        hash.update(metadata.len().to_le_bytes());
        hash.update(metadata.mtime().to_le_bytes());
        hash.update(metadata.mtime_nsec().to_le_bytes());
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        let mut images = Images::default();
        images.insert("selfheal/numbers-api", "/p/numbers-api".into());
        images.insert("postgres:15", "/p/fifteen".into());
        images.insert("docker.io/library/postgres", "/p/any".into());
        images.insert("localhost:5000/x", "/p/x".into());
        images
    }

    #[test]
    fn a_reference_finds_its_program_with_any_tag_unless_the_tag_has_its_own() {
        for (reference, expected) in [
            ("selfheal/numbers-api", "/p/numbers-api"),
            ("selfheal/numbers-api:0.1.0", "/p/numbers-api"),
            ("docker.io/selfheal/numbers-api:0.1.0", "/p/numbers-api"),
            ("postgres:15", "/p/fifteen"),
            ("postgres:16-alpine", "/p/any"),
            ("localhost:5000/x:1", "/p/x"),
            ("postgres@sha256:0123", "/p/any"),
        ] {
            let (image, program) = images().resolve(reference).unwrap();
            assert_eq!(program, Path::new(expected), "{reference}");
            assert_eq!(image.reference, reference);
        }
    }

    #[test]
    fn what_is_no_reference_is_told_from_what_is_unknown() {
        for reference in ["", "UPPER", "a//b", "a b", "/a", "a:t/"] {
            let error = images().resolve(reference).unwrap_err();
            assert!(
                matches!(error, ImageError::InvalidName(_)),
                "{reference}: {error}"
            );
        }
        let error = images().resolve("nginx:1").unwrap_err();
        assert!(matches!(error, ImageError::Unknown(_)), "{error}");
    }
}
