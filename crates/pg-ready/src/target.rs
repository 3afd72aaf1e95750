//! Converts settings into the servers to try, and the role and database to name to them.
//!
//! Lists of hosts, addresses and ports are combined as in libpq; lists that do not match are an error.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::path::PathBuf;

use crate::attempt::SessionAttributes;
use crate::conninfo::Settings;
use crate::require_auth::PermittedMethods;

mod inet_aton;
mod parameters;

const DEFAULT_PORT: &str = "5432";
/// Socket directory of Debian's and Red Hat's servers, and therefore of their `pg_isready`.
pub(crate) const DEFAULT_SOCKET_DIR: &str = "/var/run/postgresql";

/// The servers to try, in order, and the startup parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) targets: Vec<Target>,
    pub(crate) user: String,
    pub(crate) database: String,
    /// Shown in the server's log and in `pg_stat_activity`; empty for none.
    pub(crate) application_name: String,
    pub(crate) permitted_methods: PermittedMethods,
    pub(crate) session_attributes: SessionAttributes,
    /// `true` if the servers are tried in random order.
    pub(crate) is_load_balanced: bool,
    /// Reason why these settings are not supported for a login.
    pub(crate) login_refusal: Option<String>,
    /// libpq's `requirepeer`: user that has to run the server at a Unix-domain socket.
    pub(crate) required_peer: Option<String>,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Host name to resolve, and port.
    Name(String, u16),
    /// Address, port, and the host name to verify in the certificate.
    Address(IpAddr, u16, Option<String>),
    /// Path of a Unix-domain socket.
    Socket(PathBuf),
    /// Server with an invalid setting. libpq reports it only when it tries this server, not before.
    Invalid {
        /// Host name or address as it was given.
        host: String,
        /// Port, or 0 if it is invalid.
        port: u16,
        /// The invalid setting.
        reason: String,
    },
}

impl Target {
    /// Returns the names to look up: `name` itself, and in lower case, because musl's resolver compares the names in
    /// `/etc/hosts` byte by byte.
    pub(crate) fn name_variants(name: &str) -> impl Iterator<Item = String> {
        // glibc's resolver returns the loopback addresses for `*`.
        let name = if name == "*" { "localhost" } else { name };
        let lower = Some(name.to_ascii_lowercase()).filter(|lower| lower != name);
        std::iter::once(name.to_owned()).chain(lower)
    }

    /// Returns the host and port for reports; the host of a socket is its directory.
    pub(crate) fn host_and_port(&self) -> (String, u16) {
        match self {
            Self::Name(host, port) => (host.clone(), *port),
            Self::Address(address, port, _) => (address.to_string(), *port),
            Self::Socket(path) => {
                let text = path.to_string_lossy().replace('\0', "@");
                let (dir, port) = text.rsplit_once("/.s.PGSQL.").unwrap_or((&text, ""));
                (dir.to_owned(), port.parse().unwrap_or_default())
            }
            Self::Invalid { host, port, .. } => (host.clone(), *port),
        }
    }

    /// Returns the host name to verify in the certificate.
    pub(crate) fn certificate_name(&self) -> String {
        match self {
            Self::Address(_, _, Some(name)) => name.clone(),
            other => other.host_and_port().0,
        }
    }

    /// Returns the host to match in a password file, which is `localhost` for the default socket directory.
    pub(crate) fn pgpass_host(&self) -> String {
        match self.certificate_name() {
            dir if dir == DEFAULT_SOCKET_DIR => "localhost".to_owned(),
            other => other,
        }
    }
}

/// Invalid settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Lists of hosts, addresses or ports differ in length.
    #[error("could not match {found} {list} to {expected} hosts")]
    Mismatch {
        /// Name of the list.
        list: &'static str,
        /// Length of the list.
        found: usize,
        /// Number of hosts.
        expected: usize,
    },
    /// The value is not one of the setting's choices.
    #[error("invalid {setting} value: {value:?}")]
    Value {
        /// Keyword of the setting.
        setting: &'static str,
        /// The invalid value.
        value: String,
    },
    /// A setting that requires TLS contradicts `sslmode`.
    #[error("weak sslmode {sslmode:?} may not be used with {setting}")]
    WeakSslmode {
        /// Value of `sslmode`.
        sslmode: String,
        /// The other setting, with its value.
        setting: &'static str,
    },
    /// The minimum protocol version is above the maximum.
    #[error("invalid protocol version range: min_protocol_version is above max_protocol_version")]
    ProtocolVersions,
    /// The minimum TLS version is above the maximum.
    #[error(
        "invalid SSL protocol version range: ssl_min_protocol_version is above ssl_max_protocol_version"
    )]
    TlsVersions,
    /// No role is set, and the operating system has no name for the user with this ID.
    #[error("local user with ID {0} does not exist; set a role with --username or PGUSER")]
    UnknownUser(u32),
}

/// Protocol versions of libpq 18, in ascending order; the last one means the newest version.
pub(super) const PROTOCOL_VERSIONS: &[&str] = &["3.0", "3.2", "latest"];

/// Settings with a fixed set of values.
const CHOICES: &[(&str, &[&str])] = &[
    ("channel_binding", &["disable", "prefer", "require"]),
    ("gssencmode", &["disable", "prefer", "require"]),
    ("load_balance_hosts", &["disable", "random"]),
    ("max_protocol_version", PROTOCOL_VERSIONS),
    ("min_protocol_version", PROTOCOL_VERSIONS),
    ("sslcertmode", &["disable", "allow", "require"]),
    ("sslnegotiation", &["postgres", "direct"]),
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
    /// Validates the settings; `default_role` returns the role if they contain none.
    pub(crate) fn new(
        settings: &Settings,
        default_role: impl FnOnce() -> Result<String, u32>,
    ) -> Result<Self, PlanError> {
        check_choices(settings)?;
        parameters::check_tls_versions(settings)?;
        parameters::check_combinations(settings)?;
        let get = |name: &str| settings.get(name).filter(|value| !value.is_empty());
        let user = match get("user") {
            Some(user) => user.clone(),
            None => default_role().map_err(PlanError::UnknownUser)?,
        };
        let application_name = get("application_name").or_else(|| get("fallback_application_name"));
        Ok(Self {
            targets: parse_targets(settings)?,
            database: get("dbname").unwrap_or(&user).clone(),
            user,
            permitted_methods: PermittedMethods::parse(
                get("require_auth").map_or("", String::as_str),
            )?,
            session_attributes: get("target_session_attrs")
                .map_or(SessionAttributes::Any, |text| {
                    SessionAttributes::parse(text)
                }),
            is_load_balanced: get("load_balance_hosts").is_some_and(|value| value == "random"),
            login_refusal: parameters::find_login_refusal(settings),
            required_peer: get("requirepeer").cloned(),
            application_name: application_name.cloned().unwrap_or_default(),
        })
    }
}

impl Plan {
    /// Returns the servers in the order in which they are tried.
    pub(crate) fn ordered_targets(&self) -> Vec<&Target> {
        let mut targets: Vec<_> = self.targets.iter().collect();
        if self.is_load_balanced {
            // Each `RandomState` has a random key.
            targets.sort_by_cached_key(|_| RandomState::new().hash_one(0));
        }
        targets
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

fn parse_targets(settings: &Settings) -> Result<Vec<Target>, PlanError> {
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
            list: "host names",
            found: hosts.len(),
            expected: count,
        });
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(PlanError::Mismatch {
            list: "port numbers",
            found: ports.len(),
            expected: count,
        });
    }
    let nth = |list: &[&'_ str], index: usize| {
        list.get(index)
            .map_or(String::new(), |text| (*text).to_owned())
    };
    let has_valid_keepalives = parameters::has_valid_keepalives(settings);
    // GSSAPI is not supported: every server fails, as with a libpq that has no credentials.
    let requires_gss = settings
        .get("gssencmode")
        .is_some_and(|mode| mode == "require");
    let mut targets = Vec::with_capacity(count);
    for index in 0..count {
        let port = nth(&ports, if ports.len() == 1 { 0 } else { index });
        let target = parse_target(&nth(&hosts, index), &nth(&addresses, index), &port);
        let invalid = |reason: &str| {
            let (host, port) = target.host_and_port();
            let reason = reason.to_owned();
            Target::Invalid { host, port, reason }
        };
        targets.push(match target {
            Target::Invalid { .. } => target,
            _ if requires_gss => invalid("gssencmode=require is not supported"),
            Target::Socket(_) => target,
            _ if !has_valid_keepalives => invalid("invalid keepalives setting"),
            _ => target,
        });
        // libpq skips a port that is out of range, and stops at one that is not an integer.
        if !port.is_empty() && parameters::parse_int(&port).is_none() {
            break;
        }
    }
    Ok(targets)
}

fn parse_target(host: &str, address: &str, port: &str) -> Target {
    let invalid = |host: &str, port, reason| Target::Invalid {
        host: host.to_owned(),
        port,
        reason,
    };
    let text = if port.is_empty() { DEFAULT_PORT } else { port };
    let port = parameters::parse_int(text).and_then(|port| u16::try_from(port).ok());
    let Some(port) = port.filter(|port| *port > 0) else {
        return invalid(host, 0, format!("invalid port {text:?}"));
    };
    if !address.is_empty() {
        let name = (!host.is_empty()).then(|| host.to_owned());
        return match inet_aton::parse_address(address) {
            Some(address) => Target::Address(address, port, name),
            None => invalid(address, port, format!("invalid hostaddr {address:?}")),
        };
    }
    match host {
        "" => Target::Socket(socket_path(DEFAULT_SOCKET_DIR, port)),
        host if host.starts_with(['/', '@']) => Target::Socket(socket_path(host, port)),
        host => Target::Name(host.to_owned(), port),
    }
}

/// Returns the path of a socket. An abstract socket is written with `@`, which means a leading zero byte.
fn socket_path(dir: &str, port: u16) -> PathBuf {
    let path = format!("{dir}/.s.PGSQL.{port}");
    match path.strip_prefix('@') {
        Some(name) => PathBuf::from(format!("\0{name}")),
        None => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests;
