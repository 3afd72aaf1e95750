//! Validation of settings that libpq passes to the operating system or to OpenSSL.

use super::{PROTOCOL_VERSIONS, PlanError};
use crate::conninfo::Settings;

/// TLS versions that libpq accepts, in ascending order.
const TLS_VERSIONS: [&str; 4] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
const DEFAULT_MIN_TLS_VERSION: &str = "TLSv1.2";

/// Maximum values on Linux: seconds, seconds, and a number of probes.
const MAX_KEEPALIVES: [(&str, i32); 3] = [
    ("keepalives_idle", 32_767),
    ("keepalives_interval", 32_767),
    ("keepalives_count", 127),
];

/// Rejects unknown TLS versions, and a minimum above the maximum.
pub(super) fn check_tls_versions(settings: &Settings) -> Result<(), PlanError> {
    let parse = |setting: &'static str, default: &'static str| {
        let value = settings.get(setting).map_or(default, String::as_str);
        let known = TLS_VERSIONS
            .iter()
            .position(|version| version.eq_ignore_ascii_case(value));
        match known {
            None if !value.is_empty() => Err(PlanError::Value {
                setting,
                value: value.to_owned(),
            }),
            known => Ok(known),
        }
    };
    let min = parse("ssl_min_protocol_version", DEFAULT_MIN_TLS_VERSION)?;
    let max = parse("ssl_max_protocol_version", "")?;
    match min.zip(max) {
        Some((min, max)) if min > max => Err(PlanError::TlsVersions),
        _ => Ok(()),
    }
}

/// Rejects settings that contradict each other.
pub(super) fn check_combinations(settings: &Settings) -> Result<(), PlanError> {
    let get = |name: &str| settings.get(name).map_or("", String::as_str);
    let is_system = get("sslrootcert") == "system";
    let default_mode = if is_system { "verify-full" } else { "prefer" };
    let sslmode = settings.get("sslmode").map_or(default_mode, String::as_str);
    let weak = |setting| {
        Err(PlanError::WeakSslmode {
            sslmode: sslmode.to_owned(),
            setting,
        })
    };
    if is_system && sslmode != "verify-full" {
        return weak("sslrootcert=system");
    }
    let requires_tls = matches!(sslmode, "require" | "verify-ca" | "verify-full");
    if get("sslnegotiation") == "direct" && !requires_tls {
        return weak("sslnegotiation=direct");
    }
    let version = |name| {
        PROTOCOL_VERSIONS
            .iter()
            .position(|known| *known == get(name))
    };
    match version("min_protocol_version").zip(version("max_protocol_version")) {
        Some((min, max)) if min > max => Err(PlanError::ProtocolVersions),
        _ => Ok(()),
    }
}

/// Returns the reason why a login does not support these settings, which the check of `pg_isready` does not need.
pub(super) fn find_login_refusal(settings: &Settings) -> Option<String> {
    let is_unsupported = |(name, value): (&&'static str, &String)| {
        let is_set = match *name {
            "scram_client_key" | "scram_server_key" | "sslkeylogfile" => !value.is_empty(),
            "replication" => !matches!(value.as_str(), "" | "false" | "off" | "no" | "0"),
            "min_protocol_version" => value != PROTOCOL_VERSIONS[0],
            "sslcertmode" => value == "require",
            _ => false,
        };
        is_set.then_some(*name)
    };
    let name = settings.iter().find_map(is_unsupported)?;
    Some(format!(
        "a check that logs in does not support {name}; remove it, or run no check"
    ))
}

/// Returns `true` if the operating system accepts the keepalives settings.
///
/// libpq applies them before it connects, and skips the address if that fails.
pub(super) fn has_valid_keepalives(settings: &Settings) -> bool {
    let get = |setting: &str| settings.get(setting).map(String::as_str);
    match get("keepalives").map(parse_int) {
        Some(Some(0)) => return true,
        Some(None) => return false,
        _ => {}
    }
    let in_range = |(setting, max): &(&str, i32)| {
        get(setting)
            .is_none_or(|text| parse_int(text).is_some_and(|value| (1..=*max).contains(&value)))
    };
    MAX_KEEPALIVES.iter().all(in_range)
        && get("tcp_user_timeout").is_none_or(|text| parse_int(text).is_some())
}

/// Parses an integer as libpq does, with optional surrounding white space.
pub(super) fn parse_int(text: &str) -> Option<i32> {
    let is_space = |char: char| char.is_ascii_whitespace() || char == '\x0b';
    text.trim_matches(is_space).parse().ok()
}

#[cfg(test)]
mod tests;
