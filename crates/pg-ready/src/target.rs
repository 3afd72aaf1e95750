//! From settings to what is tried: whom to ask, and as whom.
//!
//! Lists of hosts, addresses and ports go together as in libpq; what does not fit together is no attempt at all.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::conninfo::Settings;

mod limits;
mod numeric;

const DEFAULT_PORT: &str = "5432";
/// Where Debian's and Red Hat's servers put their sockets, and so their pg_isready looks.
pub(crate) const DEFAULT_SOCKET_FOLDER: &str = "/var/run/postgresql";

/// What a check tries, in this order, until one answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The servers.
    pub targets: Vec<Target>,
    /// The role named to them.
    pub user: String,
    /// The database named to them.
    pub database: String,
    /// The program name in their logs and views.
    pub application: String,
    /// Whether a server without TLS counts as no answer.
    pub needs_tls: bool,
    /// As whom the server at a unix socket must run.
    pub peer: Option<String>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A name to resolve and a port.
    Name(String, u16),
    /// An address and a port, and the name that its certificate should have.
    Address(IpAddr, u16, Option<String>),
    /// A unix socket.
    Socket(PathBuf),
    /// An address, a port or a keepalive that is none: libpq fails when it gets there, not before.
    Unusable,
}

impl Target {
    /// How a name is looked up: as it is written, and in small letters, for musl's resolver compares those of
    /// `/etc/hosts` byte by byte.
    pub(crate) fn spellings(name: &str) -> impl Iterator<Item = String> {
        let small = Some(name.to_ascii_lowercase()).filter(|small| small != name);
        std::iter::once(name.to_owned()).chain(small)
    }

    /// Its host and port, as they are said to people.
    #[must_use]
    pub fn name(&self) -> (String, u16) {
        match self {
            Self::Name(host, port) => (host.clone(), *port),
            Self::Address(address, port, _) => (address.to_string(), *port),
            Self::Socket(path) => {
                let text = path.to_string_lossy().replace('\0', "@");
                let (folder, port) = text.rsplit_once("/.s.PGSQL.").unwrap_or((&text, ""));
                (folder.to_owned(), port.parse().unwrap_or_default())
            }
            Self::Unusable => (String::new(), 0),
        }
    }

    /// The name that its certificate should have.
    pub(crate) fn certificate_name(&self) -> String {
        match self {
            Self::Address(_, _, Some(name)) => name.clone(),
            other => other.name().0,
        }
    }

    /// Its host in a password file, where a socket in the usual place is `localhost`.
    pub(crate) fn password_host(&self) -> String {
        match self.certificate_name() {
            folder if folder == DEFAULT_SOCKET_FOLDER => "localhost".to_owned(),
            other => other,
        }
    }
}

/// Settings that make no attempt possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Two lists of different lengths.
    #[error("could not match {found} {what} to {expected} hosts")]
    Mismatch {
        /// Which list is off.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length it should have.
        expected: usize,
    },
    /// A setting that has a fixed set of values.
    #[error("invalid {setting} value: {value:?}")]
    Value {
        /// The setting.
        setting: &'static str,
        /// What it was set to.
        value: String,
    },
    /// An oldest version of TLS that is newer than the newest.
    #[error(
        "invalid SSL protocol version range: ssl_min_protocol_version is above ssl_max_protocol_version"
    )]
    TlsVersions,
    /// No role was named and the operating system has no name for this user.
    #[error("local user with ID {0} does not exist; name a role with --username or PGUSER")]
    NoUser(u32),
}

const CHOICES: &[(&str, &[&str])] = &[
    ("channel_binding", &["disable", "prefer", "require"]),
    ("gssencmode", &["disable", "prefer", "require"]),
    (
        "sslmode",
        &[
            "disable",
            "allow",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
        ],
    ),
    (
        "target_session_attrs",
        &[
            "any",
            "read-write",
            "read-only",
            "primary",
            "standby",
            "prefer-standby",
        ],
    ),
];

impl Plan {
    /// Works out what to try.
    pub fn new(
        settings: &Settings,
        os_user: impl FnOnce() -> Result<String, u32>,
    ) -> Result<Self, PlanError> {
        check_choices(settings)?;
        limits::check_tls_versions(settings)?;
        let get = |name: &str| settings.get(name).filter(|value| !value.is_empty());
        let user = match get("user") {
            Some(user) => user.clone(),
            None => os_user().map_err(PlanError::NoUser)?,
        };
        let application = get("application_name").or_else(|| get("fallback_application_name"));
        Ok(Self {
            targets: targets(settings)?,
            database: get("dbname").unwrap_or(&user).clone(),
            user,
            peer: get("requirepeer").cloned(),
            application: application.cloned().unwrap_or_default(),
            needs_tls: matches!(
                get("sslmode").map(String::as_str),
                Some("require" | "verify-ca" | "verify-full")
            ),
        })
    }
}

fn check_choices(settings: &Settings) -> Result<(), PlanError> {
    for (setting, choices) in CHOICES {
        match settings.get(setting) {
            Some(value) if !choices.contains(&value.as_str()) => {
                return Err(PlanError::Value {
                    setting,
                    value: value.clone(),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn targets(settings: &Settings) -> Result<Vec<Target>, PlanError> {
    let list = |name: &str| -> Vec<&str> {
        let value = settings.get(name).map_or("", String::as_str);
        if value.is_empty() {
            Vec::new()
        } else {
            value.split(',').collect()
        }
    };
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = if addresses.is_empty() {
        hosts.len().max(1)
    } else {
        addresses.len()
    };
    if !hosts.is_empty() && hosts.len() != count {
        return Err(PlanError::Mismatch {
            what: "host names",
            found: hosts.len(),
            expected: count,
        });
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(PlanError::Mismatch {
            what: "port numbers",
            found: ports.len(),
            expected: count,
        });
    }
    let nth = |list: &[&'_ str], index: usize| {
        list.get(index)
            .map_or(String::new(), |text| (*text).to_owned())
    };
    let tcp_is_usable = limits::keepalive_is_usable(settings);
    // What is not there cannot be had: as for a libpq without credentials.
    let encrypts_by_gss = settings
        .get("gssencmode")
        .is_some_and(|mode| mode == "require");
    let mut targets = Vec::with_capacity(count);
    for index in 0..count {
        let port = nth(&ports, if ports.len() == 1 { 0 } else { index });
        let target = target(&nth(&hosts, index), &nth(&addresses, index), &port);
        let is_usable = match target {
            Target::Socket(_) => !encrypts_by_gss,
            _ => !encrypts_by_gss && tcp_is_usable,
        };
        targets.push(if is_usable { target } else { Target::Unusable });
        // libpq passes over a port that is too large, and ends its search at one that is no number.
        if !port.is_empty() && limits::number(&port).is_none() {
            break;
        }
    }
    Ok(targets)
}

fn target(host: &str, address: &str, port: &str) -> Target {
    let port = if port.is_empty() { DEFAULT_PORT } else { port };
    let port = limits::number(port).and_then(|port| u16::try_from(port).ok());
    let Some(port) = port.filter(|port| *port > 0) else {
        return Target::Unusable;
    };
    if !address.is_empty() {
        return numeric::address(address).map_or(Target::Unusable, |address| {
            Target::Address(address, port, (!host.is_empty()).then(|| host.to_owned()))
        });
    }
    match host {
        "" => Target::Socket(socket_path(DEFAULT_SOCKET_FOLDER, port)),
        host if host.starts_with(['/', '@']) => Target::Socket(socket_path(host, port)),
        host => Target::Name(host.to_owned(), port),
    }
}

/// A socket without a file has a name that begins with a zero byte, which people write as `@`.
fn socket_path(folder: &str, port: u16) -> PathBuf {
    let path = format!("{folder}/.s.PGSQL.{port}");
    match path.strip_prefix('@') {
        Some(name) => PathBuf::from(format!("\0{name}")),
        None => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests;
