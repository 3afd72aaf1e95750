//! Images `postgres:*`: the PostgreSQL of this host, in a root file system like that of the official image.

use container_runtime::ImageError;
use container_runtime::local::{DEFAULT_PATH, HostSoftware, ImageFiles};
use todo_db::installation::{HOW_TO_INSTALL, Installation};

/// User ID of `postgres` in the official Debian image, which manifests refer to.
const DEBIAN_USER: u32 = 999;
/// User ID of `postgres` in the official Alpine image.
const ALPINE_USER: u32 = 70;

const DATA_DIR: &str = "/var/lib/postgresql/data";
const SOCKET_DIR: &str = "/run/postgresql";

/// Returns the host software of a `postgres` image.
///
/// # Errors
/// [`ImageError::NotInstalled`] if this host has no PostgreSQL of the version in the tag.
pub(super) fn find(reference: &str) -> Result<HostSoftware, ImageError> {
    let installed = todo_db::installation::find(major(reference));
    host_software(reference, installed)
}

/// Returns the major version in a reference's tag.
fn major(reference: &str) -> Option<u32> {
    let (_, tag) = reference.split('@').next()?.rsplit_once(':')?;
    let end = tag.find(|c: char| !c.is_ascii_digit()).unwrap_or(tag.len());
    tag[..end].parse().ok()
}

fn user(reference: &str) -> u32 {
    let tag = reference.rsplit_once(':').map_or("", |(_, tag)| tag);
    if tag.contains("alpine") {
        ALPINE_USER
    } else {
        DEBIAN_USER
    }
}

fn host_software(
    reference: &str,
    installed: Option<Installation>,
) -> Result<HostSoftware, ImageError> {
    let installed = installed.ok_or_else(|| ImageError::NotInstalled {
        image: reference.to_owned(),
        what: "PostgreSQL",
        how: HOW_TO_INSTALL,
    })?;
    let path = format!("{}:{DEFAULT_PATH}", installed.bin.display());
    let env = [("PATH", &*path), ("LANG", "C.UTF-8"), ("PGDATA", DATA_DIR)];
    let id = user(reference);
    Ok(HostSoftware {
        env: env
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        // PostgreSQL's fast shutdown, which does not wait for clients.
        stop_signal: Some("SIGINT".to_owned()),
        files: ImageFiles {
            writable_dirs: [DATA_DIR, SOCKET_DIR].map(str::to_owned).into(),
            passwd_lines: vec![format!("postgres:x:{id}:{id}::/var/lib/postgresql:/bin/sh")],
            group_lines: vec![format!("postgres:x:{id}:")],
            host_trees: installed.tree.into_iter().collect(),
            ..ImageFiles::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn tag_contains_the_major_version() {
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
    fn user_has_the_number_of_the_official_image() {
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
    fn error_without_postgresql_contains_how_to_install_it() {
        let error = host_software("postgres:15", None).unwrap_err().to_string();
        for part in [
            "postgres:15",
            "PostgreSQL is not installed",
            "apt-get install postgresql",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn programs_of_the_installation_are_first_in_path_and_the_stop_signal_is_fast_shutdown() {
        let installed = Installation {
            bin: PathBuf::from("/opt/pg/bin"),
            major: Some(15),
            tree: Some(PathBuf::from("/opt/pg")),
        };
        let software = host_software("postgres:15", Some(installed)).unwrap();
        let path = software.env.iter().find(|(name, _)| name == "PATH");
        let (_, path) = path.unwrap();
        assert!(path.starts_with("/opt/pg/bin:/app:"), "{path}");
        assert_eq!(software.stop_signal.as_deref(), Some("SIGINT"));
        assert_eq!(software.files.host_trees, [PathBuf::from("/opt/pg")]);
    }
}
