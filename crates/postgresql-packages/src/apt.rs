//! apt with the system's sources and keys, and private lists, caches and archives.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{first_error, run, stdout, untranslated};
use crate::dpkg;
use crate::error::{Error, file};

/// Settings that override the system's. Hooks are cleared, because they are meant for root's lists and archives. Verification is never
/// weakened, even if the system's configuration allows it.
const CONFIGURATION: &str = r#"
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Retries "0";
Acquire::http::Timeout "5";
Acquire::https::Timeout "5";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Acquire::IndexTargets::deb-src::Sources::DefaultEnabled "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"#;

/// The system's file of installed packages.
const STATUS: &str = "/var/lib/dpkg/status";

/// Prefixes of dependencies that only the installation needs, and of LLVM, which is larger than the rest and accelerates only long queries.
const UNNEEDED: [&str; 19] = [
    "libllvm",
    "libz3",
    "libperl",
    "libelogind",
    "libdebian-installer",
    "libnewt",
    "libslang",
    "libtextwrap",
    "libfile-find",
    "libjson-perl",
    "libnumber",
    "libtext-glob",
    "libdb5",
    "libgdbm",
    "libpam-modules",
    "libsemanage",
    "libsepol",
    "liblocale",
    "libdebconf",
];

/// apt's programs with one set of directories.
pub(crate) struct Apt {
    /// Options before every other argument.
    options: Vec<String>,
    /// First error of the update, which explains a missing package.
    update_error: Option<String>,
}

impl Apt {
    /// Uses the system's directories.
    pub(crate) fn system() -> Self {
        Self {
            options: Vec::new(),
            update_error: None,
        }
    }

    /// Downloads the package lists into `work`, with progress on standard error. `options` are added to apt's programs.
    ///
    /// An unreachable source is not an error: another source may have the packages.
    pub(crate) fn with_updated_lists(work: &Path, options: &[String]) -> Result<Self, Error> {
        let mut apt = Self {
            options: private_options(work)?,
            update_error: None,
        };
        apt.options.extend_from_slice(options);
        let mut update = apt.command("apt-get");
        update
            .args(["-q", "update"])
            .stdout(Stdio::from(io::stderr()));
        apt.update_error = first_error(&run(&mut update)?);
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = untranslated(program);
        command.args(&self.options);
        command
    }

    /// Returns the major version of the distribution's PostgreSQL.
    pub(crate) fn default_major(&self) -> Result<u32, Error> {
        let output = run(self.command("apt-cache").args(["depends", "postgresql"]))?;
        let text = String::from_utf8_lossy(&output.stdout);
        major_in(&text).ok_or_else(|| self.no_package("postgresql"))
    }

    fn no_package(&self, package: &str) -> Error {
        let reason = self.update_error.clone();
        let package = package.to_owned();
        let reason = reason.unwrap_or_else(|| "no source has it".to_owned());
        Error::NoPackage { package, reason }
    }

    /// Returns an error that names the available versions if there is no server of this one.
    pub(crate) fn require_server(&self, major: u32) -> Result<(), Error> {
        let package = format!("postgresql-{major}");
        let names = stdout(self.command("apt-cache").args(["pkgnames", "postgresql-"]))?;
        let is_server = |name: &&str| {
            let version = name.strip_prefix("postgresql-");
            version.is_some_and(|version| version.parse::<u32>().is_ok())
        };
        let servers: Vec<_> = names.lines().filter(is_server).collect();
        if servers.contains(&package.as_str()) {
            return Ok(());
        }
        if servers.is_empty() {
            return Err(self.no_package(&package));
        }
        let reason = format!("available: {}", servers.join(", "));
        Err(Error::NoPackage { package, reason })
    }

    /// Returns the names of all libraries that the server depends on.
    pub(crate) fn libraries(&self, major: u32) -> Result<BTreeSet<String>, Error> {
        let relations = [
            "recommends",
            "suggests",
            "conflicts",
            "breaks",
            "replaces",
            "enhances",
        ];
        let mut command = self.command("apt-cache");
        command.args(["depends", "--recurse"]);
        command.args(relations.map(|relation| format!("--no-{relation}")));
        let text = stdout(command.arg(format!("postgresql-{major}")))?;
        Ok(text
            .lines()
            .filter(|name| is_library(name))
            .map(str::to_owned)
            .collect())
    }

    /// Downloads packages into `archives`, which is created; names without a package are ignored.
    pub(crate) fn download(
        &self,
        names: &[String],
        archives: &Path,
    ) -> Result<Vec<PathBuf>, Error> {
        fs::create_dir_all(archives).map_err(file("creating", archives))?;
        let mut show = self.command("apt-cache");
        let shown = run(show.args(["show", "--no-all-versions"]).args(names))?;
        let known = String::from_utf8_lossy(&shown.stdout).into_owned();
        let known: Vec<_> = known
            .lines()
            .filter_map(|line| line.strip_prefix("Package: "))
            .collect();
        let mut download = self.command("apt-get");
        download.args(["-q", "download"]).args(&known);
        download
            .current_dir(archives)
            .stdout(Stdio::from(io::stderr()));
        let output = run(&mut download)?;
        if !output.status.success() {
            let reason = first_error(&output).unwrap_or_else(|| output.status.to_string());
            return Err(Error::Download { reason });
        }
        dpkg::archives_in(archives)
    }
}

fn private_options(work: &Path) -> Result<Vec<String>, Error> {
    let configuration = work.join("apt.conf");
    fs::write(&configuration, CONFIGURATION).map_err(file("writing", &configuration))?;
    let mut options = vec![format!("--config-file={}", configuration.display())];
    for (name, below) in [
        ("Dir::State", "state"),
        ("Dir::State::lists", "lists"),
        ("Dir::Cache", "cache"),
        ("Dir::Cache::archives", "cache/archives"),
    ] {
        let dir = work.join(below);
        let partial = dir.join("partial");
        fs::create_dir_all(&partial).map_err(file("creating", &partial))?;
        options.push(format!("--option={name}={}/", dir.display()));
    }
    options.push(format!("--option=Dir::State::status={STATUS}"));
    Ok(options)
}

/// Returns the version in `Depends: postgresql-15`.
fn major_in(depends: &str) -> Option<u32> {
    let mut depends = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: postgresql-"));
    depends.find_map(|version| version.parse().ok())
}

/// Returns `true` for libraries, and for the package with the copyright file of GCC's.
///
/// Foreign architectures, indented relations and virtual packages do not match.
fn is_library(name: &str) -> bool {
    let is_needed = !UNNEEDED.iter().any(|prefix| name.starts_with(prefix));
    let is_named_so = name.starts_with("lib") && !name.contains(':') && !name.ends_with("-perl");
    is_named_so && is_needed || name == "zlib1g" || is_gcc_base(name)
}

/// Returns `true` for `gcc-12-base`: the documentation of `libgcc-s1` is a link to its.
fn is_gcc_base(name: &str) -> bool {
    let version = name
        .strip_prefix("gcc-")
        .and_then(|rest| rest.strip_suffix("-base"));
    version.is_some_and(|version| version.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_major_is_read_from_the_dependency_of_the_metapackage() {
        for (text, expected) in [
            (
                "postgresql\n  Depends: postgresql-15\n  Suggests: postgresql-doc\n",
                Some(15),
            ),
            (
                "postgresql\n  Depends: postgresql-common\n  Depends: postgresql-17\n",
                Some(17),
            ),
            ("postgresql\n", None),
            ("", None),
        ] {
            assert_eq!(major_in(text), expected, "{text:?}");
        }
    }

    #[test]
    fn libraries_exclude_relations_foreign_architectures_and_dependencies_of_the_installation() {
        for (name, expected) in [
            ("libpq5", true),
            ("libssl3t64", true),
            ("zlib1g", true),
            ("gcc-12-base", true),
            ("zlib1g-dev", false),
            ("zlib1g:i386", false),
            ("gcc-12", false),
            ("gcc-12-base:i386", false),
            ("gcc-defaults-base", false),
            ("libllvm14", false),
            ("libjson-perl", false),
            ("libanything-perl", false),
            ("libpq5:i386", false),
            ("  Depends: libpq5", false),
            ("<libvirtual>", false),
            ("postgresql-15", false),
        ] {
            assert_eq!(is_library(name), expected, "{name}");
        }
    }
}
