//! URLs and `Location` headers as Go's `net/url` reads them, and its complaints.

use std::fmt;

use crate::action::url::{escape_as_go, escapes_are_valid, has_control, scheme_end};

/// A URL to send a request to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: String,
    /// Host and port as written.
    pub(super) authority: String,
    /// Path as sent; may be empty.
    path: String,
    query: Option<String>,
    fragment: Option<String>,
}

/// A reference: a URL of which everything may be missing.
struct Reference {
    scheme: Option<String>,
    authority: Option<String>,
    path: String,
    query: Option<String>,
    fragment: Option<String>,
}

impl Url {
    /// Reads an absolute URL; the error is what Go says after `parse "…": `.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let read = Reference::parse(text)?;
        Ok(Self {
            scheme: read.scheme.unwrap_or_default(),
            authority: read.authority.unwrap_or_default(),
            path: read.path,
            query: read.query,
            fragment: read.fragment,
        })
    }

    /// Where `location` leads from here, and whether it names its own host.
    pub(super) fn join(&self, location: &str) -> Result<(Self, bool), String> {
        let to = Reference::parse(location)?;
        let absolute = to.scheme.is_some();
        if absolute || to.authority.is_some() {
            return Ok((
                Self {
                    scheme: to.scheme.unwrap_or_else(|| self.scheme.clone()),
                    authority: to.authority.unwrap_or_default(),
                    path: without_dots(&to.path),
                    query: to.query,
                    fragment: to.fragment,
                },
                absolute,
            ));
        }
        let stays = to.path.is_empty();
        let path = match to.path.as_str() {
            "" => self.path.clone(),
            path if path.starts_with('/') => without_dots(path),
            path => {
                let folder = self.path.rfind('/').map_or("/", |at| &self.path[..=at]);
                without_dots(&format!("{folder}{path}"))
            }
        };
        let query = match to.query {
            None if stays => self.query.clone(),
            query => query,
        };
        Ok((
            Self {
                path,
                query,
                fragment: to.fragment,
                ..self.clone()
            },
            false,
        ))
    }

    /// The host name without port and brackets.
    pub(super) fn hostname(&self) -> &str {
        let host = split_port(&self.authority).0;
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port to connect to.
    pub(super) fn port(&self) -> i32 {
        match split_port(&self.authority).1 {
            Some(port) if !port.is_empty() => port.parse().unwrap_or(i32::MAX),
            _ if self.is_https() => 443,
            _ => 80,
        }
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// What stands in the request line.
    pub(super) fn request_target(&self) -> String {
        let mut target = self.path.clone();
        if target.is_empty() {
            target.push('/');
        }
        if let Some(query) = &self.query {
            target.push('?');
            target.push_str(query);
        }
        target
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)?;
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        match &self.fragment {
            Some(fragment) => write!(f, "#{fragment}"),
            None => Ok(()),
        }
    }
}

impl Reference {
    fn parse(text: &str) -> Result<Self, String> {
        if has_control(text) {
            return Err("net/url: invalid control character in URL".to_owned());
        }
        let (rest, fragment) = split(text, '#');
        let (rest, query) = split(rest, '?');
        let (scheme, rest) = match scheme_end(rest) {
            None => return Err("missing protocol scheme".to_owned()),
            Some(Some(at)) => (Some(rest[..at].to_ascii_lowercase()), &rest[at + 1..]),
            Some(None) => (None, rest),
        };
        let first = rest.split('/').next().unwrap_or_default();
        if scheme.is_none() && first.contains(':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
        let (authority, path) = match rest.strip_prefix("//") {
            Some(after) if scheme.is_some() || !after.starts_with('/') => {
                let end = after.find('/').unwrap_or(after.len());
                (Some(authority(&after[..end])?), &after[end..])
            }
            _ => (None, rest),
        };
        check_escapes(path)?;
        let fragment = fragment.filter(|fragment| !fragment.is_empty());
        check_escapes(fragment.unwrap_or_default())?;
        Ok(Self {
            scheme,
            authority,
            path: escape_as_go(path),
            query: query.map(str::to_owned),
            fragment: fragment.map(str::to_owned),
        })
    }
}

fn split(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark)
        .map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Host and port, without the name and password that may stand before them.
fn authority(text: &str) -> Result<String, String> {
    let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let name = if let Some(literal) = host.strip_prefix('[') {
        let (literal, rest) = literal.rsplit_once(']').ok_or("missing ']' in host")?;
        if !rest.is_empty() && !rest.starts_with(':') {
            return Err(format!("invalid port {rest:?} after host"));
        }
        check_port(rest)?;
        let address = literal.split_once("%25").map_or(literal, |(ip, _)| ip);
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("invalid IP-literal".to_owned());
        }
        return Ok(host.to_owned());
    } else {
        let (name, port) = split_port(host);
        if let Some(port) = port {
            check_port(&format!(":{port}"))?;
        }
        name
    };
    check_host(name)?;
    Ok(host.to_owned())
}

fn check_port(port: &str) -> Result<(), String> {
    if port.chars().skip(1).all(|letter| letter.is_ascii_digit()) {
        Ok(())
    } else {
        Err(format!("invalid port {port:?} after host"))
    }
}

/// A host may hold escapes only of what is no ASCII.
fn check_host(host: &str) -> Result<(), String> {
    let bytes = host.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let escape = bytes
            .get(at..at + 3)
            .filter(|three| three[1..].iter().all(u8::is_ascii_hexdigit) && three[1] >= b'8');
        if *byte == b'%' && escape.is_none() {
            return Err(invalid_escape(host, at));
        }
        let plain = byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"%".contains(byte);
        if byte.is_ascii() && !plain {
            let letter = char::from(*byte);
            return Err(format!(
                "invalid character {:?} in host name",
                letter.to_string()
            ));
        }
    }
    Ok(())
}

fn check_escapes(text: &str) -> Result<(), String> {
    if escapes_are_valid(text) {
        return Ok(());
    }
    let at = text
        .match_indices('%')
        .map(|(at, _)| at)
        .find(|at| !escapes_are_valid(text.get(*at..*at + 3).unwrap_or("%")));
    Err(invalid_escape(text, at.unwrap_or_default()))
}

fn invalid_escape(text: &str, at: usize) -> String {
    let escape: String = text[at..].chars().take(3).collect();
    format!("invalid URL escape {escape:?}")
}

/// The host with its brackets, and the port, which may be empty.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// The path without `.` and `..`, rooted.
fn without_dots(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let last = segments.len() - 1;
    for (at, segment) in segments.iter().enumerate() {
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if at == last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests;
