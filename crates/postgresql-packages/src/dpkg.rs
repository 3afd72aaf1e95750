//! dpkg's database of installed packages, and the contents of archives.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

use crate::command::{stdout, untranslated};
use crate::error::{Error, file};

/// Required programs of apt and dpkg.
const PROGRAMS: [&str; 5] = ["apt-get", "apt-cache", "dpkg", "dpkg-deb", "dpkg-query"];

/// Directories that no program reads when it runs.
const UNWANTED: [&str; 4] = ["doc", "man", "locale", "lintian"];

/// Returns an error that names the first of apt's and dpkg's programs that is not in PATH.
pub(crate) fn require_programs() -> Result<(), Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<_> = std::env::split_paths(&path).collect();
    let is_missing = |program: &&&str| !dirs.iter().any(|dir| dir.join(program).is_file());
    match PROGRAMS.iter().find(is_missing) {
        Some(program) => Err(Error::NoApt { program }),
        None => Ok(()),
    }
}

/// Returns the names of the installed packages of the host's architecture.
pub(crate) fn installed() -> Result<BTreeSet<String>, Error> {
    let native = stdout(untranslated("dpkg").arg("--print-architecture"))?;
    let format = "--showformat=${db:Status-Status} ${Architecture} ${Package}\n";
    let text = stdout(untranslated("dpkg-query").args(["--show", format]))?;
    Ok(installed_in(&text, native.trim()))
}

fn installed_in(text: &str, native: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let fields: Vec<_> = line.split(' ').collect();
        match fields[..] {
            ["installed", architecture, name] if [native, "all"].contains(&architecture) => {
                Some(name.to_owned())
            }
            _ => None,
        }
    };
    text.lines().filter_map(name).collect()
}

/// Returns the paths of an installed package's files and directories.
pub(crate) fn files_of(package: &str) -> Result<Vec<PathBuf>, Error> {
    let text = stdout(untranslated("dpkg-query").args(["--listfiles", package]))?;
    let paths = text
        .lines()
        .filter(|line| line.starts_with('/'))
        .map(PathBuf::from);
    Ok(paths.filter(|path| is_wanted(path)).collect())
}

/// Returns the sorted archives in a directory.
pub(crate) fn archives_in(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(dir).map_err(file("reading", dir))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut archives: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "deb"))
        .collect();
    archives.sort();
    Ok(archives)
}

/// Returns the name of an archive's package.
pub(crate) fn package_of(archive: &Path) -> Result<String, Error> {
    let mut command = untranslated("dpkg-deb");
    let name = stdout(command.arg("--field").arg(archive).arg("Package"))?;
    Ok(name.trim().to_owned())
}

/// Unpacks the files of an archive below `tree`; scripts do not run. Of its documentation, only the copyright file is kept.
///
/// Returns the paths of the files and links, relative to `tree`.
pub(crate) fn unpack(archive: &Path, tree: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |reason: String| Error::Program {
        program: format!("dpkg-deb --fsys-tarfile {}", archive.display()),
        reason,
    };
    let mut command = untranslated("dpkg-deb");
    command
        .arg("--fsys-tarfile")
        .arg(archive)
        .stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let stream = child
        .stdout
        .take()
        .ok_or_else(|| failed("no output".to_owned()))?;
    let mut files = tar::Archive::new(stream);
    files.set_preserve_permissions(true);
    let unpacked = extract(&mut files, tree).map_err(file("unpacking into", tree));
    // Closes the pipe, so that dpkg-deb does not wait for a reader after an error here.
    drop(files);
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    let paths = unpacked?;
    if status.success() {
        Ok(paths)
    } else {
        Err(failed(status.to_string()))
    }
}

fn extract(
    files: &mut tar::Archive<impl std::io::Read>,
    tree: &Path,
) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in files.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let kind = entry.header().entry_type();
        if is_wanted(&path) || is_copyright(&path, kind.is_symlink()) {
            entry.unpack_in(tree)?;
            if !kind.is_dir() {
                paths.push(path.strip_prefix(".").map_or(path.clone(), Path::to_owned));
            }
        }
    }
    Ok(paths)
}

fn is_wanted(path: &Path) -> bool {
    !matches!(names_in(path)[..], ["usr", "share", dir, ..] if UNWANTED.contains(&dir))
}

/// Returns `true` for a copyright file, and for a link to the documentation of the package that has it.
fn is_copyright(path: &Path, is_link: bool) -> bool {
    match names_in(path)[..] {
        ["usr", "share", "doc", _] => is_link,
        ["usr", "share", "doc", _, name] => name == "copyright",
        _ => false,
    }
}

fn names_in(path: &Path) -> Vec<&str> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_are_removed_or_of_another_architecture_do_not_count_as_installed() {
        let text = "installed amd64 libpq5\nconfig-files amd64 libold\ninstalled i386 libx\ninstalled all tzdata\n";
        let names: Vec<_> = installed_in(text, "amd64").into_iter().collect();
        assert_eq!(names, ["libpq5", "tzdata"]);
    }

    #[test]
    fn documentation_is_not_unpacked() {
        for (path, expected) in [
            ("./usr/share/doc/libpq5/copyright", false),
            ("/usr/share/man/man1/psql.1.gz", false),
            ("./usr/share/postgresql/15/man/x", true),
            ("./usr/lib/x86_64-linux-gnu/libpq.so.5", true),
            ("./usr/share/", true),
            ("./", true),
        ] {
            assert_eq!(is_wanted(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn copyright_file_and_link_to_it_are_recognized() {
        for (path, is_link, expected) in [
            ("./usr/share/doc/libpq5/copyright", false, true),
            ("./usr/share/doc/libpq5/copyright", true, true),
            ("./usr/share/doc/libgcc-s1", true, true),
            ("./usr/share/doc/libpq5/", false, false),
            ("./usr/share/doc/libpq5/changelog.gz", false, false),
            ("./usr/share/doc/libpq5/examples/copyright", false, false),
            ("./usr/share/man/libpq5/copyright", false, false),
        ] {
            let found = is_copyright(Path::new(path), is_link);
            assert_eq!(found, expected, "{path} {is_link}");
        }
    }
}
