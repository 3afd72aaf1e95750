//! `postgres:*`: the PostgreSQL of this machine, in a root like the official image's.

use todo_db::installation::{HOW_TO_INSTALL, Installation};

use super::Found;
use crate::ImageError;
use crate::local::container::PATH;

/// The number of the official image's user, in Debian's and in Alpine's; manifests name it.
const USER: u32 = 999;
const ALPINE_USER: u32 = 70;

/// Its folders, which whoever the container runs as may write to.
const FOLDERS: [&str; 2] = ["/var/lib/postgresql/data", "/run/postgresql"];

/// The major version that a reference's tag asks for.
pub(super) fn major(reference: &str) -> Option<u32> {
    let (_, tag) = reference.split('@').next()?.rsplit_once(':')?;
    let end = tag.find(|c: char| !c.is_ascii_digit()).unwrap_or(tag.len());
    tag[..end].parse().ok()
}

fn user(reference: &str) -> u32 {
    let tag = reference.rsplit_once(':').map_or("", |(_, tag)| tag);
    if tag.contains("alpine") {
        ALPINE_USER
    } else {
        USER
    }
}

/// Gives the image what the installation has.
pub(super) fn fit(mut found: Found, installed: Option<Installation>) -> Result<Found, ImageError> {
    let installed = installed.ok_or_else(|| ImageError::NotInstalled {
        image: found.image.reference.clone(),
        what: "PostgreSQL",
        how: HOW_TO_INSTALL,
    })?;
    let path = format!("{}:{PATH}", installed.bin.display());
    found.image.env = [
        ("PATH", path.as_str()),
        ("LANG", "C.UTF-8"),
        ("PGDATA", FOLDERS[0]),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    // The server's own words: a fast shutdown, which does not wait for clients.
    found.image.stop_signal = Some("SIGINT".to_owned());
    found.fittings.folders = FOLDERS.map(str::to_owned).into();
    let id = user(&found.image.reference);
    found.fittings.users = vec![format!("postgres:x:{id}:{id}::/var/lib/postgresql:/bin/sh")];
    found.fittings.groups = vec![format!("postgres:x:{id}:")];
    found.fittings.trees = installed.tree.into_iter().collect();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::local::images::{ImageProgram, Images, Requirement};

    fn found() -> Found {
        let mut images = Images::default();
        let program = ImageProgram {
            file: "/p/entry".into(),
            name: "entry".to_owned(),
            requirement: Requirement::None,
        };
        images.insert("postgres", program);
        images.resolve("postgres:15").unwrap()
    }

    #[test]
    fn the_tag_says_which_version_is_wanted() {
        for (reference, expected) in [
            ("postgres:11.6-alpine", Some(11)),
            ("docker.io/library/postgres:16@sha256:01", Some(16)),
            ("postgres:15", Some(15)),
            ("postgres", None),
            ("postgres:alpine", None),
        ] {
            assert_eq!(major(reference), expected, "{reference}");
        }
    }

    #[test]
    fn its_user_has_the_number_that_manifests_name() {
        for (reference, expected) in [
            ("postgres:15-alpine", 70),
            ("postgres:alpine3.20", 70),
            ("postgres:15", 999),
            ("postgres", 999),
        ] {
            assert_eq!(user(reference), expected, "{reference}");
        }
    }

    #[test]
    fn without_postgresql_the_error_says_what_to_install() {
        let error = fit(found(), None).unwrap_err().to_string();
        for part in [
            "postgres:15",
            "no PostgreSQL is installed",
            "apt-get install postgresql",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn its_programs_come_first_and_the_server_is_stopped_fast() {
        let installed = Installation {
            bin: PathBuf::from("/opt/pg/bin"),
            major: Some(15),
            tree: Some(PathBuf::from("/opt/pg")),
        };
        let found = fit(found(), Some(installed)).unwrap();
        let path = &found
            .image
            .env
            .iter()
            .find(|(name, _)| name == "PATH")
            .unwrap()
            .1;
        assert!(path.starts_with("/opt/pg/bin:/app:"), "{path}");
        assert_eq!(found.image.stop_signal.as_deref(), Some("SIGINT"));
        assert_eq!(found.fittings.trees, [PathBuf::from("/opt/pg")]);
    }
}
