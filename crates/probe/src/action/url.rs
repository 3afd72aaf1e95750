//! The URL of an HTTP probe, as Go's `net/url` makes it of the manifest's parts.
//!
//! The path of the manifest is parsed as a reference of its own, then its scheme and host are overwritten: a query and a
//! fragment in it work, and an authority in it is lost. What does not parse is taken for a path and escaped.

use std::fmt::Write as _;

/// What a path of a manifest parses to.
#[derive(Default)]
struct Reference {
    path: String,
    query: Option<String>,
    fragment: Option<String>,
}

/// The whole URL.
#[must_use]
pub fn format(scheme: &str, host: &str, port: i32, path: &str) -> String {
    let parsed = parse(path).unwrap_or_else(|| Reference {
        path: escape(path),
        ..Reference::default()
    });
    let mut url = format!(
        "{scheme}://{}:{port}",
        if host.contains(':') {
            format!("[{host}]")
        } else {
            escape_host(host)
        }
    );
    if !parsed.path.is_empty() && !parsed.path.starts_with('/') {
        url.push('/');
    }
    url.push_str(&parsed.path);
    for (mark, part) in [('?', parsed.query), ('#', parsed.fragment)] {
        if let Some(part) = part {
            url.push(mark);
            url.push_str(&part);
        }
    }
    url
}

/// None where Go finds the reference malformed.
fn parse(text: &str) -> Option<Reference> {
    if has_control(text) {
        return None;
    }
    let (rest, fragment) = split(text, '#');
    let fragment = fragment.filter(|fragment| !fragment.is_empty());
    if !fragment.is_none_or(escapes_are_valid) {
        return None;
    }
    let (rest, query) = split(rest, '?');
    let path = without_authority(rest)?;
    if !escapes_are_valid(path) {
        return None;
    }
    Some(Reference {
        path: escape_as_go(path),
        query: query.map(str::to_owned),
        fragment: fragment.map(str::to_owned),
    })
}

fn split(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark)
        .map_or((text, None), |(before, after)| (before, Some(after)))
}

/// The path of a reference: what follows a scheme and an authority, if it has them.
fn without_authority(text: &str) -> Option<&str> {
    let rest = match scheme_end(text)? {
        Some(end) => &text[end + 1..],
        // Without a scheme, a colon in the first segment would look like one.
        None if text
            .split('/')
            .next()
            .is_some_and(|first| first.contains(':')) =>
        {
            return None;
        }
        None => text,
    };
    match rest.strip_prefix("//") {
        // Three slashes are a path that begins with two, unless a scheme stands before them.
        Some(after) if !(after.starts_with('/') && rest.len() == text.len()) => {
            Some(&after[after.find('/').unwrap_or(after.len())..])
        }
        _ => Some(rest),
    }
}

/// Where a scheme ends, if there is one; none at the outside where a colon comes first.
#[expect(
    clippy::option_option,
    reason = "malformed, absent and present are three answers"
)]
pub(crate) fn scheme_end(text: &str) -> Option<Option<usize>> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return None,
            b':' => return Some(Some(at)),
            _ => return Some(None),
        }
    }
    Some(None)
}

pub(crate) fn escapes_are_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_escape = |at: usize| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    (0..bytes.len()).all(|at| bytes[at] != b'%' || is_escape(at))
}

pub(crate) fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte < b' ' || byte == 0x7f)
}

/// A path with valid escapes, as it is sent.
pub(crate) fn escape_as_go(path: &str) -> String {
    if is_encoded(path) {
        path.to_owned()
    } else {
        escape_decoded(path)
    }
}

/// Whether a path can stand as it is.
fn is_encoded(path: &str) -> bool {
    path.bytes()
        .all(|byte| is_plain(byte) || b"!'()*[]%".contains(&byte))
}

/// The characters that Go leaves in a path.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte)
}

fn escape_decoded(path: &str) -> String {
    escape_bytes(&percent_encoding::percent_decode_str(path).collect::<Vec<u8>>())
}

fn escape(path: &str) -> String {
    escape_bytes(path.as_bytes())
}

fn escape_bytes(bytes: &[u8]) -> String {
    escape_unless(bytes, is_plain)
}

fn escape_host(host: &str) -> String {
    escape_unless(host.as_bytes(), |byte| {
        byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
    })
}

fn escape_unless(bytes: &[u8], plain: impl Fn(u8) -> bool) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for byte in bytes {
        if plain(*byte) {
            escaped.push(char::from(*byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a string takes everything");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_manifest_becomes_a_url_as_go_makes_it() {
        for (path, expected) in [
            ("", "http://10.0.0.1:80"),
            ("path", "http://10.0.0.1:80/path"),
            ("/", "http://10.0.0.1:80/"),
            ("?foo", "http://10.0.0.1:80?foo"),
            ("/a b", "http://10.0.0.1:80/a%20b"),
            ("/a%20b", "http://10.0.0.1:80/a%20b"),
            ("/a%zz", "http://10.0.0.1:80/a%25zz"),
            ("/a%2", "http://10.0.0.1:80/a%252"),
            ("//evil.com/x", "http://10.0.0.1:80/x"),
            ("//evil.com", "http://10.0.0.1:80"),
            ("///x", "http://10.0.0.1:80///x"),
            ("http://other:99/x?y#z", "http://10.0.0.1:80/x?y#z"),
            ("/ü", "http://10.0.0.1:80/%C3%BC"),
            ("healthz?x=1&y=a b", "http://10.0.0.1:80/healthz?x=1&y=a b"),
            ("/x?", "http://10.0.0.1:80/x?"),
            ("/x#", "http://10.0.0.1:80/x"),
            ("/(a)", "http://10.0.0.1:80/(a)"),
            ("/a:b", "http://10.0.0.1:80/a:b"),
            ("1:b", "http://10.0.0.1:80/1:b"),
            ("/a\nb?c", "http://10.0.0.1:80/a%0Ab%3Fc"),
        ] {
            assert_eq!(format("http", "10.0.0.1", 80, path), expected, "{path}");
        }
    }

    #[test]
    fn an_ipv6_address_gets_its_brackets() {
        assert_eq!(format("https", "::1", 80, "/"), "https://[::1]:80/");
        assert_eq!(format("http", "a/b", 80, "/"), "http://a%2Fb:80/");
    }
}
