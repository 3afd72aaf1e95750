//! Finds the host's PostgreSQL server: in `PATH`, in Debian's or Homebrew's directories, in the user's cache.

use std::path::{Path, PathBuf};

/// Programs that an installation needs to have.
const PROGRAMS: [&str; 4] = ["postgres", "initdb", "pg_ctl", "psql"];

/// Directory of directories named after major versions.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Directories of directories named `postgresql@VERSION`.
const HOMEBREW: [&str; 3] = [
    "/home/linuxbrew/.linuxbrew/opt",
    "/opt/homebrew/opt",
    "/usr/local/opt",
];

/// Directory of this project below the user's cache directory.
const CACHE: &str = "selfheal";
/// Prefix of a directory in the cache; the major version follows.
const CACHED: &str = "postgresql-";

/// Commands that install the server, by the `ID` or `ID_LIKE` of `/etc/os-release`.
const INSTALL_COMMANDS: [(&str, &str); 6] = [
    ("debian", "sudo apt-get install postgresql"),
    ("ubuntu", "sudo apt-get install postgresql"),
    ("fedora", "sudo dnf install postgresql-server"),
    ("arch", "sudo pacman -S postgresql"),
    ("suse", "sudo zypper install postgresql-server"),
    ("alpine", "doas apk add postgresql"),
];

/// Commands that install the server, for a message.
pub const HOW_TO_INSTALL: &str = "run `selfheal postgresql` (Debian, Ubuntu; without root), or install its server: \
                                  apt-get install postgresql (Debian, Ubuntu), dnf install postgresql-server (Fedora), \
                                  pacman -S postgresql (Arch), brew install postgresql (Homebrew)";

/// A PostgreSQL server's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Directory of the programs.
    pub bin: PathBuf,
    /// Major version, if the directory's name contains it.
    pub major: Option<u32>,
    /// Directory with the libraries and files that the programs need, unless it is below `/usr`.
    pub tree: Option<PathBuf>,
}

/// Returns the command that installs the server on this distribution; [`HOW_TO_INSTALL`] if it is unknown.
#[must_use]
pub fn install_command() -> &'static str {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    command_for(&text).unwrap_or(HOW_TO_INSTALL)
}

fn command_for(os_release: &str) -> Option<&'static str> {
    let value = |key: &str| {
        let mut lines = os_release.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches(['"', '\''])
    };
    // The distribution's own id precedes those of the distributions that it derives from.
    let ids = std::iter::once(value("ID")).chain(value("ID_LIKE").split_whitespace());
    let command = |id: &str| INSTALL_COMMANDS.iter().find(|(known, _)| *known == id);
    ids.filter_map(command).map(|(_, command)| *command).next()
}

/// Returns the installation of this major version; without one the first in `PATH`, then the newest installed one, then
/// the newest of the user's cache.
#[must_use]
pub fn find(major: Option<u32>) -> Option<Installation> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    select(candidates(std::env::split_paths(&path)), major)
}

/// Directory in which this project keeps files that can be downloaded again: below `XDG_CACHE_HOME` or `~/.cache`.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Some(base?.join(CACHE))
}

/// Directory in `cache` with all files of a server of this major version; its programs are in `bin`.
#[must_use]
pub fn cached_tree(cache: &Path, major: u32) -> PathBuf {
    cache.join(format!("{CACHED}{major}"))
}

/// Installations in `cache`, in no order.
#[must_use]
pub fn cached(cache: &Path) -> Vec<Installation> {
    let number = |name: &str| name.strip_prefix(CACHED)?.parse().ok();
    versioned(cache, number, |tree| Some(tree.to_owned()))
}

fn candidates(path: impl Iterator<Item = PathBuf>) -> Vec<Installation> {
    let mut found: Vec<_> = path.filter_map(installation_in).collect();
    let mut versions = versioned(Path::new(DEBIAN), |name| name.parse().ok(), |_| None);
    for dir in HOMEBREW.map(Path::new) {
        let number = |name: &str| name.strip_prefix("postgresql@")?.parse().ok();
        let prefix = dir.parent().map(Path::to_owned);
        versions.extend(versioned(dir, number, |_| prefix.clone()));
    }
    let mut cached = cache_dir().map(|dir| cached(&dir)).unwrap_or_default();
    for group in [&mut versions, &mut cached] {
        group.sort_by_key(|it| std::cmp::Reverse(it.major));
        found.append(group);
    }
    found
}

fn select(candidates: Vec<Installation>, major: Option<u32>) -> Option<Installation> {
    let wanted = candidates
        .iter()
        .position(|it| major.is_some() && it.major == major);
    candidates.into_iter().nth(wanted.unwrap_or(0))
}

fn installation_in(dir: PathBuf) -> Option<Installation> {
    if !is_complete(&dir) {
        return None;
    }
    // Programs in a common directory are links into the directory that has libraries and templates too.
    let program = dir.join(PROGRAMS[0]).canonicalize().ok()?;
    let tree = program.parent()?.parent()?;
    let tree = (!tree.starts_with("/usr")).then(|| tree.to_owned());
    let major = version_of_path(&program);
    Some(Installation {
        bin: dir,
        major,
        tree,
    })
}

/// Returns the major version of a path such as Debian's `/usr/lib/postgresql/15/bin/postgres`.
fn version_of_path(program: &Path) -> Option<u32> {
    let below = program.strip_prefix(DEBIAN).ok()?;
    below.iter().next()?.to_str()?.parse().ok()
}

fn versioned(
    dir: &Path,
    number: impl Fn(&str) -> Option<u32>,
    tree: impl Fn(&Path) -> Option<PathBuf>,
) -> Vec<Installation> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let installation = |entry: std::fs::DirEntry| {
        let bin = entry.path().join("bin");
        let major = number(entry.file_name().to_str()?)?;
        is_complete(&bin).then(|| Installation {
            bin,
            major: Some(major),
            tree: tree(&entry.path()).filter(|tree| !tree.starts_with("/usr")),
        })
    };
    entries.filter_map(installation).collect()
}

fn is_complete(bin: &Path) -> bool {
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
    fn requested_version_precedes_path_and_path_precedes_the_newest() {
        let all = || vec![version(None), version(Some(16)), version(Some(15))];
        for (wanted, found) in [
            (Some(15), Some(15)),
            (Some(16), Some(16)),
            (Some(11), None),
            (None, None),
        ] {
            let chosen = select(all(), wanted).unwrap();
            assert_eq!(chosen.major, found, "{wanted:?}");
        }
        assert_eq!(select(all().split_off(1), None).unwrap().major, Some(16));
        assert_eq!(select(Vec::new(), Some(15)), None);
    }

    #[test]
    fn directory_without_a_required_program_is_no_installation() {
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
        let found = versioned(root.path(), number, |_| Some(root.path().to_owned()));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].major, found[0].tree.as_deref()),
            (Some(16), Some(root.path()))
        );

        let dir = root.path().join("postgresql@16/bin");
        let found = installation_in(dir.clone()).unwrap();
        assert_eq!(found.bin, dir);
        assert!(dir.canonicalize().unwrap().starts_with(found.tree.unwrap()));
    }

    #[test]
    fn cached_server_has_its_directory_as_tree() {
        let cache = tempfile::tempdir().unwrap();
        for dir in ["postgresql-15", ".work-1", "postgresql-x"] {
            let bin = cache.path().join(dir).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            for program in PROGRAMS {
                std::fs::write(bin.join(program), "").unwrap();
            }
        }
        let tree = cached_tree(cache.path(), 15);
        let expected = Installation {
            bin: tree.join("bin"),
            major: Some(15),
            tree: Some(tree),
        };
        assert_eq!(cached(cache.path()), [expected]);
    }

    #[test]
    fn install_command_is_that_of_the_distribution_or_of_its_parent() {
        for (os_release, expected) in [
            (
                "NAME=x\nID=debian\n",
                Some("sudo apt-get install postgresql"),
            ),
            (
                "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
                Some("sudo apt-get install postgresql"),
            ),
            ("ID=fedora\n", Some("sudo dnf install postgresql-server")),
            (
                "ID=\"rhel\"\nID_LIKE=\"fedora\"\n",
                Some("sudo dnf install postgresql-server"),
            ),
            ("ID=arch\n", Some("sudo pacman -S postgresql")),
            ("ID=void\n", None),
            ("", None),
        ] {
            assert_eq!(command_for(os_release), expected, "{os_release:?}");
        }
    }
}
