//! Checks of this host.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Requirement;

/// # Errors
/// Reason why this host does not meet the requirement.
pub(super) fn check(requirement: Requirement) -> Result<(), String> {
    match requirement {
        Requirement::Apt => ["apt-get", "apt-cache", "dpkg-query", "dpkg-deb"]
            .iter()
            .try_for_each(|name| program_in_path(&[name])),
        Requirement::Browser => {
            program_in_path(&["chromedriver"])?;
            program_in_path(&["chromium", "google-chrome", "chrome", "chromium-browser"])
        }
        Requirement::Buildah => program_in_path(&["buildah"]),
        Requirement::DockerRegistry => program_in_path(&["docker-registry"]),
        Requirement::ImageArchives => image_archives()
            .map(drop)
            .ok_or_else(|| "IMAGE_ARCHIVES is not set".to_owned()),
        Requirement::Jq => program_in_path(&["jq"]),
        Requirement::Kubectl => program_in_path(&["kubectl"]),
        Requirement::Musl => musl(),
        Requirement::Namespaces => crate::namespaces::first_process().map(drop),
        Requirement::Pgbouncer => program_in_path(&["pgbouncer"]),
        Requirement::Podman => {
            check(Requirement::Root)?;
            // podman lowers it, which root without CAP_SYS_RESOURCE cannot.
            std::fs::write("/proc/self/oom_score_adj", "0")
                .map_err(|error| format!("cannot set oom_score_adj: {error}"))?;
            program_in_path(&["podman"])?;
            program_in_path(&["runc"])
        }
        Requirement::Ports => [8013, 8081].into_iter().try_for_each(free_port),
        Requirement::Postgresql => crate::postgres::check_installation(),
        Requirement::Psycopg => psycopg(),
        Requirement::Root if nix::unistd::Uid::effective().is_root() => Ok(()),
        Requirement::Root => Err("the user is not root".to_owned()),
        Requirement::RustdocJson => rustdoc_json(),
    }
}

/// # Errors
/// Another program uses the port.
fn free_port(port: u16) -> Result<(), String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map(drop)
        .map_err(|error| format!("port {port} of 127.0.0.1: {error}"))
}

/// Directory of image archives, if `IMAGE_ARCHIVES` is set.
#[must_use]
pub fn image_archives() -> Option<PathBuf> {
    std::env::var_os("IMAGE_ARCHIVES").map(|dir| crate::repository().join(dir))
}

/// # Errors
/// None of these programs is in `PATH`.
fn program_in_path(names: &[&str]) -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    if names.iter().any(is_there) {
        return Ok(());
    }
    Err(format!("{} is not in PATH", names.join(" or ")))
}

fn psycopg() -> Result<(), String> {
    let import = Command::new("python3")
        .args([
            "-c",
            "import importlib.util as u; exit(u.find_spec('psycopg_binary') is None)",
        ])
        .output();
    let is_installed = import.is_ok_and(|output| output.status.success());
    is_installed
        .then_some(())
        .ok_or_else(|| "python3 has no package psycopg-binary".to_owned())
}

fn musl() -> Result<(), String> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", &target])
        .stderr(Stdio::null())
        .output();
    let dir = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let is_installed = dir.is_ok_and(|dir| Path::new(&dir).is_dir());
    is_installed
        .then_some(())
        .ok_or_else(|| format!("Rust's target {target} is not installed"))
}

/// # Errors
/// rustdoc writes a JSON format that is older than the one that `public-api` reads.
fn rustdoc_json() -> Result<(), String> {
    const MIN_MINOR_VERSION: u32 = 93;
    let output = Command::new("rustdoc")
        .arg("--version")
        .output()
        .map_err(|error| format!("cannot run rustdoc: {error}"))?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    let minor = version
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse::<u32>().ok());
    if minor.is_some_and(|minor| minor >= MIN_MINOR_VERSION) {
        Ok(())
    } else {
        Err(format!("{} is too old", version.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_that_is_not_in_path_is_named() {
        assert_eq!(program_in_path(&["absent-program", "sh"]), Ok(()));
        assert_eq!(
            program_in_path(&["absent-program", "absent-too"]),
            Err("absent-program or absent-too is not in PATH".to_owned())
        );
    }
}
