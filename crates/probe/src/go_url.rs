//! URLs as Go's `net/url` parses, resolves and formats them, with its error texts: the kubelet's events quote both.

use std::fmt;

mod escape;
mod probe_url;
mod reference;

pub(crate) use probe_url::format_probe_url;
pub(crate) use reference::has_control_characters;
use reference::{Reference, split_port};

/// An absolute URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    /// Host and port as written.
    pub(crate) authority: String,
    /// Escaped; may be empty.
    path: String,
    query: Option<String>,
    fragment: Option<String>,
}

/// The form of a `Location` header, which decides about the `Host` header of the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LocationForm {
    /// With a scheme.
    Absolute,
    Relative,
}

impl Url {
    /// Parses an absolute URL.
    ///
    /// # Errors
    /// Go's text after `parse "…": `.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parsed = Reference::parse(text)?;
        Ok(Self {
            scheme: parsed.scheme.unwrap_or_default(),
            authority: parsed.authority.unwrap_or_default(),
            path: parsed.path,
            query: parsed.query,
            fragment: parsed.fragment,
        })
    }

    /// Resolves a `Location` header against this URL (RFC 3986, 5.2).
    ///
    /// # Errors
    /// Go's text after `parse "…": `.
    pub(crate) fn join(&self, location: &str) -> Result<(Self, LocationForm), String> {
        let to = Reference::parse(location)?;
        let form = match to.scheme {
            Some(_) => LocationForm::Absolute,
            None => LocationForm::Relative,
        };
        if to.scheme.is_some() || to.authority.is_some() {
            let url = Self {
                scheme: to.scheme.unwrap_or_else(|| self.scheme.clone()),
                authority: to.authority.unwrap_or_default(),
                path: remove_dot_segments(&to.path),
                query: to.query,
                fragment: to.fragment,
            };
            return Ok((url, form));
        }
        let query = match to.query {
            None if to.path.is_empty() => self.query.clone(),
            query => query,
        };
        let url = Self {
            path: self.resolve_path(&to.path),
            query,
            fragment: to.fragment,
            ..self.clone()
        };
        Ok((url, form))
    }

    fn resolve_path(&self, path: &str) -> String {
        if path.is_empty() {
            self.path.clone()
        } else if path.starts_with('/') {
            remove_dot_segments(path)
        } else {
            let parent = self.path.rfind('/').map_or("/", |at| &self.path[..=at]);
            remove_dot_segments(&format!("{parent}{path}"))
        }
    }

    /// Returns the host without port and brackets.
    pub(crate) fn hostname(&self) -> &str {
        let host = split_port(&self.authority).0;
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// Returns the port to connect to, the scheme's default if there is none. It may be out of range.
    pub(crate) fn port(&self) -> i32 {
        match split_port(&self.authority).1 {
            Some(port) if !port.is_empty() => port.parse().unwrap_or(i32::MAX),
            _ if self.is_https() => 443,
            _ => 80,
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// Returns path and query as sent in the request line.
    pub(crate) fn request_target(&self) -> String {
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

/// Removes `.` and `..` (RFC 3986, 5.2.4). The result starts with a slash unless `path` is empty.
fn remove_dot_segments(path: &str) -> String {
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
