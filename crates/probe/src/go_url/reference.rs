//! URL references, parsed as by Go's `url.Parse`.

use super::escape::{check_escapes, go_escape_path, invalid_escape};

/// A URL reference: a URL of which each part may be missing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reference {
    /// In lower case.
    pub(super) scheme: Option<String>,
    /// Host and port as written, without user information.
    pub(super) authority: Option<String>,
    /// Escaped.
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) fragment: Option<String>,
}

impl Reference {
    /// Parses `text`.
    ///
    /// # Errors
    /// Go's text after `parse "…": `.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if has_control_characters(text) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let (rest, fragment) = split(text, '#');
        let (rest, query) = split(rest, '?');
        let (scheme, rest) = match find_scheme(rest)? {
            Some(end) => (Some(rest[..end].to_ascii_lowercase()), &rest[end + 1..]),
            None => (None, rest),
        };
        let first = rest.split('/').next().unwrap_or_default();
        if scheme.is_none() && first.contains(':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
        let (authority, path) = match rest.strip_prefix("//") {
            // Without a scheme, three slashes start a path and not an authority.
            Some(after) if scheme.is_some() || !after.starts_with('/') => {
                let end = after.find('/').unwrap_or(after.len());
                (Some(parse_authority(&after[..end])?), &after[end..])
            }
            _ => (None, rest),
        };
        check_escapes(path)?;
        let fragment = fragment.filter(|fragment| !fragment.is_empty());
        check_escapes(fragment.unwrap_or_default())?;
        Ok(Self {
            scheme,
            authority,
            path: go_escape_path(path),
            query: query.map(str::to_owned),
            fragment: fragment.map(str::to_owned),
        })
    }
}

pub(crate) fn has_control_characters(text: &str) -> bool {
    text.bytes().any(|byte| byte < b' ' || byte == 0x7f)
}

fn split(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator)
        .map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Returns the position of the colon after a scheme, or `None` without a scheme.
fn find_scheme(text: &str) -> Result<Option<usize>, String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok(Some(at)),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Returns host and port of an authority; user information before them is dropped.
fn parse_authority(text: &str) -> Result<String, String> {
    let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
    if let Some(literal) = host.strip_prefix('[') {
        check_ip_literal(literal)?;
    } else {
        let (name, port) = split_port(host);
        if let Some(port) = port {
            check_port(&format!(":{port}"))?;
        }
        check_host(name)?;
    }
    Ok(host.to_owned())
}

/// Checks an IPv6 address and what follows it; `literal` starts after the opening bracket.
fn check_ip_literal(literal: &str) -> Result<(), String> {
    let (literal, rest) = literal.rsplit_once(']').ok_or("missing ']' in host")?;
    if !rest.is_empty() && !rest.starts_with(':') {
        return Err(format!("invalid port {rest:?} after host"));
    }
    check_port(rest)?;
    let address = literal.split_once("%25").map_or(literal, |(ip, _zone)| ip);
    match address.parse::<std::net::Ipv6Addr>() {
        Ok(_) => Ok(()),
        Err(_) => Err("invalid IP-literal".to_owned()),
    }
}

fn check_port(port: &str) -> Result<(), String> {
    if port.chars().skip(1).all(|letter| letter.is_ascii_digit()) {
        Ok(())
    } else {
        Err(format!("invalid port {port:?} after host"))
    }
}

/// Checks a host name. Its escapes must encode bytes outside ASCII.
fn check_host(host: &str) -> Result<(), String> {
    let bytes = host.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let escape = bytes
            .get(at..at + 3)
            .filter(|three| three[1..].iter().all(u8::is_ascii_hexdigit) && three[1] >= b'8');
        if *byte == b'%' && escape.is_none() {
            return Err(invalid_escape(host, at));
        }
        let is_allowed = byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"%".contains(byte);
        if byte.is_ascii() && !is_allowed {
            let letter = char::from(*byte);
            return Err(format!(
                "invalid character {:?} in host name",
                letter.to_string()
            ));
        }
    }
    Ok(())
}

/// Returns the host with its brackets, and the port, which may be empty.
pub(super) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}
