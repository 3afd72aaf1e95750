//! Requirements of tests.
//!
//! libtest has no result "skipped" at run time: a test whose requirement is missing returns early and passes. [`require`] and
//! [`skip`] therefore append a record to a file, and `run-tests`, beside this crate's manifest, counts these records apart.

mod host;
mod policy;
mod record;

pub use host::image_archives;

/// Program, privilege or file that a test needs and that a host may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// `apt-get`, `apt-cache`, `dpkg-query` and `dpkg-deb`.
    Apt,
    /// Chromium or Chrome, and `chromedriver`.
    Browser,
    /// `buildah`.
    Buildah,
    /// Debian's `docker-registry`.
    DockerRegistry,
    /// Archives of this workspace's images, in the directory that `IMAGE_ARCHIVES` names.
    ImageArchives,
    /// `jq`.
    Jq,
    /// `kubectl`, 1.32 or newer.
    Kubectl,
    /// Rust's standard library for the musl target of this architecture.
    Musl,
    /// PID and mount namespaces, made by root or by an ordinary user in a user namespace.
    Namespaces,
    /// `pgbouncer`.
    Pgbouncer,
    /// `podman` with `runc`, run by root.
    Podman,
    /// Ports 8013 and 8081 of the loopback address, which no other program uses.
    Ports,
    /// `PostgreSQL` server and client programs.
    Postgresql,
    /// `python3` with the package `psycopg-binary`, which contains a current libpq.
    Psycopg,
    /// User id 0.
    Root,
    /// A rustdoc whose JSON output the crate `public-api` reads.
    RustdocJson,
}

/// Every requirement: its name in `SELFHEAL_TEST_REQUIRE`, and how a host meets it.
const TABLE: [(Requirement, &str, &str); 16] = [
    (Requirement::Apt, "apt", "run on Debian or Ubuntu"),
    (
        Requirement::Browser,
        "browser",
        "apt-get install chromium chromium-driver",
    ),
    (Requirement::Buildah, "buildah", "apt-get install buildah"),
    (
        Requirement::DockerRegistry,
        "docker-registry",
        "apt-get install docker-registry",
    ),
    (
        Requirement::ImageArchives,
        "image-archives",
        "make test-images",
    ),
    (Requirement::Jq, "jq", "apt-get install jq"),
    (
        Requirement::Kubectl,
        "kubectl",
        "install it from https://kubernetes.io/docs/tasks/tools",
    ),
    (
        Requirement::Musl,
        "musl",
        "rustup target add x86_64-unknown-linux-musl",
    ),
    (
        Requirement::Namespaces,
        "namespaces",
        "run as root, or let users create namespaces: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000",
    ),
    (
        Requirement::Pgbouncer,
        "pgbouncer",
        "apt-get install pgbouncer",
    ),
    (
        Requirement::Podman,
        "podman",
        "run as root after apt-get install podman runc",
    ),
    (
        Requirement::Ports,
        "ports",
        "stop the program that uses port 8013 or 8081 of 127.0.0.1",
    ),
    (
        Requirement::Postgresql,
        "postgresql",
        "apt-get install postgresql",
    ),
    (
        Requirement::Psycopg,
        "psycopg",
        "pip install psycopg-binary",
    ),
    (Requirement::Root, "root", "run as root"),
    (
        Requirement::RustdocJson,
        "rustdoc-json",
        "use a toolchain between Rust 1.93 and the newest that this version of public-api reads",
    ),
];

impl Requirement {
    /// Name in `SELFHEAL_TEST_REQUIRE` and in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> &'static (Self, &'static str, &'static str) {
        TABLE.iter().find(|row| row.0 == self).unwrap()
    }

    fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

/// Returns `true` if this host meets the requirement; otherwise records the running test as skipped, and the test has to return.
///
/// # Panics
/// As [`skip`].
#[must_use = "a test without its requirement has to return"]
#[track_caller]
pub fn require(requirement: Requirement) -> bool {
    let is_demanded = is_demanded(requirement);
    match host::check(requirement) {
        Ok(()) => true,
        Err(reason) => {
            report(requirement, &reason, is_demanded);
            false
        }
    }
}

/// Records the running test as skipped, for a requirement that shows only in the test itself.
///
/// # Panics
/// If `SELFHEAL_TEST_REQUIRE` demands the requirement, or names one that does not exist.
#[track_caller]
pub fn skip(requirement: Requirement, reason: &str) {
    report(requirement, reason, is_demanded(requirement));
}

#[track_caller]
fn is_demanded(requirement: Requirement) -> bool {
    let setting = std::env::var(policy::VARIABLE).unwrap_or_default();
    policy::demands(&setting, requirement).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn report(requirement: Requirement, reason: &str, is_demanded: bool) {
    let (_, name, remedy) = requirement.row();
    assert!(
        !is_demanded,
        "{} demands requirement {name}: {reason}; {remedy}",
        policy::VARIABLE
    );
    record::append(name, &format!("{reason}; {remedy}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_names_are_found_again() {
        for (requirement, name, _) in TABLE {
            assert_eq!(Requirement::named(name), Some(requirement));
            assert_eq!(requirement.name(), name);
        }
    }
}
