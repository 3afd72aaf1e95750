//! Which program stands for which image.

mod postgres;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::root;
use super::spec::Fittings;
use crate::runtime::{Image, ImageError};

/// The images that this workspace's own programs stand for: by their names, and by the chapter's.
const OWN: [(&str, &str, Needs); 7] = [
    (
        "localhost/selfheal/numbers-api",
        "numbers-api",
        Needs::Nothing,
    ),
    ("kiamol/ch03-numbers-api", "numbers-api", Needs::Nothing),
    ("localhost/selfheal/todo-web", "todo-web", Needs::Nothing),
    ("kiamol/ch04-todo-list", "todo-web", Needs::Nothing),
    (
        "localhost/selfheal/probe-sidecar",
        "probe-sidecar",
        Needs::Nothing,
    ),
    ("localhost/selfheal/todo-db", "todo-db", Needs::Postgres),
    ("postgres", "todo-db", Needs::Postgres),
];

/// What of this machine an image's program needs beside itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// The PostgreSQL that is installed.
    Postgres,
}

/// The tags of the images that are this workspace's own: its version's, and that of a name without one.
const TAGS: [&str; 2] = [env!("CARGO_PKG_VERSION"), "latest"];

/// Names to programs; a name counts with any tag unless it has one of its own.
type Programs = BTreeMap<String, (PathBuf, Needs)>;

/// What images stand for here.
#[derive(Clone, Debug, Default)]
pub struct Images {
    own: Programs,
    /// Comes first.
    given: Programs,
}

/// An image found: what the kubelet knows of it, and what a container is made from.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) image: Image,
    pub(super) program: PathBuf,
    pub(super) fittings: Fittings,
}

impl Images {
    /// This workspace's programs, where they lie in `folder`.
    ///
    /// Other people's images are whatever version is asked for. Of its own there is one, and a mistyped tag is not it.
    #[must_use]
    pub fn own(folder: &Path) -> Self {
        let found = OWN.iter().flat_map(|(name, program, needs)| {
            let tags = if name.starts_with("localhost/selfheal/") {
                TAGS.map(|tag| format!("{name}:{tag}")).to_vec()
            } else {
                vec![(*name).to_owned()]
            };
            tags.into_iter()
                .map(move |name| (name, (folder.join(program), *needs)))
        });
        let own = found.filter(|(_, (program, _))| program.is_file());
        Self {
            own: own.collect(),
            given: Programs::new(),
        }
    }

    /// Lets `program` stand for `name`.
    pub fn insert(&mut self, name: &str, program: PathBuf) {
        let name = familiar(name).to_owned();
        // A program of this workspace keeps its needs, wherever it lies.
        let needs = OWN.iter().find(|(_, own, _)| program.ends_with(own));
        let needs = needs.map_or(Needs::Nothing, |(_, _, needs)| *needs);
        self.given.insert(name, (program, needs));
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
        let mut programs = [&self.given, &self.own].into_iter();
        let found = programs.find_map(|of| names.iter().find_map(|name| of.get(*name)));
        let (program, needs) = found.ok_or_else(|| ImageError::Unknown(reference.to_owned()))?;
        let file = program.file_name().unwrap_or_default().to_string_lossy();
        let image = Image {
            reference: reference.to_owned(),
            id: identity(program),
            entrypoint: vec![root::program(&file)],
            env: Vec::new(),
            stop_signal: None,
        };
        let found = Found {
            image,
            program: program.clone(),
            fittings: Fittings::default(),
        };
        match needs {
            Needs::Nothing => Ok(found),
            Needs::Postgres => {
                let installed = todo_db::installation::find(postgres::major(reference));
                postgres::fit(found, installed)
            }
        }
    }
}

/// A reference as people write it: without the registry and the folder that are meant where none is named.
fn familiar(reference: &str) -> &str {
    let short = reference.strip_prefix("docker.io/").unwrap_or(reference);
    short.strip_prefix("library/").unwrap_or(short)
}

fn undigested(name: &str) -> &str {
    name.split('@').next().unwrap_or_default()
}

/// With the tag that is meant where there is none.
fn tagged(name: &str) -> String {
    let (name, untagged) = (undigested(name), untagged(name));
    if name == untagged {
        format!("{name}:latest")
    } else {
        name.to_owned()
    }
}

fn untagged(name: &str) -> &str {
    let name = undigested(name);
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
        images.insert("localhost/selfheal/numbers-api", "/p/numbers-api".into());
        images.insert("postgres:15", "/p/fifteen".into());
        images.insert("docker.io/library/postgres", "/p/any".into());
        images.insert("localhost:5000/x", "/p/x".into());
        images
    }

    #[test]
    fn a_reference_finds_its_program_with_any_tag_unless_the_tag_has_its_own() {
        for (reference, expected) in [
            ("localhost/selfheal/numbers-api", "/p/numbers-api"),
            ("localhost/selfheal/numbers-api:0.1.0", "/p/numbers-api"),
            ("docker.io/postgres:16", "/p/any"),
            ("postgres:15", "/p/fifteen"),
            ("postgres:16-alpine", "/p/any"),
            ("localhost:5000/x:1", "/p/x"),
            ("postgres@sha256:0123", "/p/any"),
        ] {
            let found = images().resolve(reference).unwrap();
            assert_eq!(found.program, Path::new(expected), "{reference}");
            assert_eq!(found.image.reference, reference);
        }
    }

    #[test]
    fn of_an_image_of_our_own_there_is_one_version() {
        let folder = tempfile::tempdir().unwrap();
        for program in ["numbers-api", "todo-web"] {
            std::fs::write(folder.path().join(program), "").unwrap();
        }
        let mut images = Images::own(folder.path());
        let version = env!("CARGO_PKG_VERSION");
        for (reference, found) in [
            ("localhost/selfheal/numbers-api", true),
            ("localhost/selfheal/numbers-api:latest", true),
            (&format!("localhost/selfheal/numbers-api:{version}"), true),
            (&format!("localhost/selfheal/todo-web:{version}"), true),
            (
                &format!("localhost/selfheal/todo-web:{version}@sha256:0123"),
                true,
            ),
            ("localhost/selfheal/numbers-api:no-such-tag", false),
            ("localhost/selfheal/numbers-api:0.0.0@sha256:0123", false),
            ("kiamol/ch03-numbers-api:any", true),
            ("localhost/selfheal/probe-sidecar", false),
        ] {
            assert_eq!(images.resolve(reference).is_ok(), found, "{reference}");
        }
        images.insert("localhost/selfheal/numbers-api", "/p/mine".into());
        for tag in ["", ":latest", ":mine"] {
            let found = images.resolve(&format!("localhost/selfheal/numbers-api{tag}"));
            assert_eq!(found.unwrap().program, Path::new("/p/mine"), "{tag}");
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
