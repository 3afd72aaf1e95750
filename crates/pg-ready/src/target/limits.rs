//! Settings that only take what the system or OpenSSL takes.

use super::PlanError;
use crate::conninfo::Settings;

/// The versions of TLS that libpq names, from the oldest.
const TLS_VERSIONS: [&str; 4] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
const OLDEST_BY_DEFAULT: &str = "TLSv1.2";

/// What Linux takes for a connection's keepalives: seconds, seconds, a number.
const KEEPALIVES: [(&str, i32); 3] = [
    ("keepalives_idle", 32_767),
    ("keepalives_interval", 32_767),
    ("keepalives_count", 127),
];

/// A version is one of those that are known, and the oldest is not above the newest.
pub(super) fn check_tls_versions(settings: &Settings) -> Result<(), PlanError> {
    let read = |setting: &'static str, default: &'static str| {
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
    let oldest = read("ssl_min_protocol_version", OLDEST_BY_DEFAULT)?;
    let newest = read("ssl_max_protocol_version", "")?;
    match oldest.zip(newest) {
        Some((oldest, newest)) if oldest > newest => Err(PlanError::TlsVersions),
        _ => Ok(()),
    }
}

/// libpq sets keepalives before it connects, and gives an address up where it cannot.
pub(super) fn keepalive_is_usable(settings: &Settings) -> bool {
    let get = |setting: &str| settings.get(setting).map(String::as_str);
    match get("keepalives").map(number) {
        Some(Some(0)) => return true,
        Some(None) => return false,
        _ => {}
    }
    let in_range = |(setting, most): &(&str, i32)| {
        get(setting)
            .is_none_or(|text| number(text).is_some_and(|value| (1..=*most).contains(&value)))
    };
    KEEPALIVES.iter().all(in_range)
        && get("tcp_user_timeout").is_none_or(|text| number(text).is_some())
}

/// A number as libpq reads it, blanks before and after it.
pub(super) fn number(text: &str) -> Option<i32> {
    let is_blank = |char: char| char.is_ascii_whitespace() || char == '\x0b';
    text.trim_matches(is_blank).parse().ok()
}

#[cfg(test)]
mod tests;
