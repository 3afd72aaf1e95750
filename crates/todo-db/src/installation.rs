//! The PostgreSQL server that is installed on this machine: in PATH, in Debian's places, in Homebrew's.

use std::path::{Path, PathBuf};

/// The programs that a server is made and run with.
const PROGRAMS: [&str; 4] = ["postgres", "initdb", "pg_ctl", "psql"];

/// Folders of folders named after versions.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Folders of folders named `postgresql@VERSION`.
const HOMEBREW: [&str; 3] = [
    "/home/linuxbrew/.linuxbrew/opt",
    "/opt/homebrew/opt",
    "/usr/local/opt",
];

/// What to say to whoever has none.
pub const HOW_TO_INSTALL: &str = "install its server: apt-get install postgresql (Debian, Ubuntu), \
                                  dnf install postgresql-server (Fedora), brew install postgresql (Homebrew)";

/// A PostgreSQL server's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The folder of the programs.
    pub bin: PathBuf,
    /// The major version, where the folder's name tells it.
    pub major: Option<u32>,
    /// What else the programs need to be seen of, where it is not in `/usr`.
    pub tree: Option<PathBuf>,
}

/// The installation of this major version if there is one; else the one in PATH, else the newest.
#[must_use]
pub fn find(major: Option<u32>) -> Option<Installation> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    choose(candidates(std::env::split_paths(&path)), major)
}

fn candidates(path: impl Iterator<Item = PathBuf>) -> Vec<Installation> {
    let mut found: Vec<_> = path.filter_map(in_path).collect();
    let mut versions = versioned(Path::new(DEBIAN), |name| name.parse().ok(), None);
    for folder in HOMEBREW.map(Path::new) {
        let number = |name: &str| name.strip_prefix("postgresql@")?.parse().ok();
        versions.extend(versioned(folder, number, folder.parent()));
    }
    versions.sort_by_key(|it| std::cmp::Reverse(it.major));
    found.extend(versions);
    found
}

fn choose(candidates: Vec<Installation>, major: Option<u32>) -> Option<Installation> {
    let wanted = candidates
        .iter()
        .position(|it| major.is_some() && it.major == major);
    candidates.into_iter().nth(wanted.unwrap_or(0))
}

fn in_path(folder: PathBuf) -> Option<Installation> {
    if !is_whole(&folder) {
        return None;
    }
    // Links lead from a common folder to where libraries and templates lie too.
    let program = folder.join(PROGRAMS[0]).canonicalize().ok()?;
    let tree = program.parent()?.parent()?;
    let tree = (!tree.starts_with("/usr")).then(|| tree.to_owned());
    let major = version_in(&program);
    Some(Installation {
        bin: folder,
        major,
        tree,
    })
}

/// Debian's `/usr/lib/postgresql/15/bin/postgres`.
fn version_in(program: &Path) -> Option<u32> {
    let below = program.strip_prefix(DEBIAN).ok()?;
    below.iter().next()?.to_str()?.parse().ok()
}

fn versioned(
    folder: &Path,
    number: impl Fn(&str) -> Option<u32>,
    tree: Option<&Path>,
) -> Vec<Installation> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let installation = |entry: std::fs::DirEntry| {
        let bin = entry.path().join("bin");
        let major = number(entry.file_name().to_str()?)?;
        is_whole(&bin).then(|| Installation {
            bin,
            major: Some(major),
            tree: tree
                .filter(|tree| !tree.starts_with("/usr"))
                .map(Path::to_owned),
        })
    };
    entries.filter_map(installation).collect()
}

fn is_whole(bin: &Path) -> bool {
    PROGRAMS.iter().all(|name| bin.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: Option<u32>) -> Installation {
        Installation {
            bin: PathBuf::from(format!("/{major:?}")),
            major,
            tree: None,
        }
    }

    #[test]
    fn the_wanted_version_comes_before_the_one_in_path_and_that_before_the_newest() {
        let all = || vec![version(None), version(Some(16)), version(Some(15))];
        for (wanted, found) in [
            (Some(15), Some(15)),
            (Some(16), Some(16)),
            (Some(11), None),
            (None, None),
        ] {
            let chosen = choose(all(), wanted).unwrap();
            assert_eq!(chosen.major, found, "{wanted:?}");
        }
        assert_eq!(choose(all().split_off(1), None).unwrap().major, Some(16));
        assert_eq!(choose(Vec::new(), Some(15)), None);
    }

    #[test]
    fn a_folder_counts_only_with_every_program_that_is_needed() {
        let root = tempfile::tempdir().unwrap();
        for (name, programs) in [
            ("postgresql@16", &PROGRAMS[..]),
            ("postgresql@17", &PROGRAMS[..3]),
            ("node", &PROGRAMS[..]),
        ] {
            let bin = root.path().join(name).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            for program in programs {
                std::fs::write(bin.join(program), "").unwrap();
            }
        }
        let number = |name: &str| name.strip_prefix("postgresql@")?.parse().ok();
        let found = versioned(root.path(), number, Some(root.path()));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].major, found[0].tree.as_deref()),
            (Some(16), Some(root.path()))
        );

        let folder = root.path().join("postgresql@16/bin");
        let in_path = in_path(folder.clone()).unwrap();
        assert_eq!(in_path.bin, folder);
        assert!(
            folder
                .canonicalize()
                .unwrap()
                .starts_with(in_path.tree.unwrap())
        );
    }
}
