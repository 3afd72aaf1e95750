//! The URL of an HTTP probe, built as the kubelet's `formatURL` builds it.
//!
//! The path of the manifest is parsed as a URL reference, then scheme and host are overwritten. Its query and fragment are
//! therefore kept, and its authority is dropped. A path that does not parse is escaped and used as it is.

use super::escape::{escape_host, escape_raw_path};
use super::reference::Reference;

/// Builds a URL from the fields of `httpGet`. An IPv6 address in `host` has no brackets.
pub(crate) fn format_probe_url(scheme: &str, host: &str, port: i32, path: &str) -> String {
    let parsed = Reference::parse(path).unwrap_or_else(|_| Reference {
        path: escape_raw_path(path),
        ..Reference::default()
    });
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        escape_host(host)
    };
    let mut url = format!("{scheme}://{host}:{port}");
    if !parsed.path.is_empty() && !parsed.path.starts_with('/') {
        url.push('/');
    }
    url.push_str(&parsed.path);
    for (separator, part) in [('?', parsed.query), ('#', parsed.fragment)] {
        if let Some(part) = part {
            url.push(separator);
            url.push_str(&part);
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_path_yields_the_same_url_as_in_go() {
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
            // Go rejects these authorities, so the whole text is the path.
            ("//a b/x", "http://10.0.0.1:80//a%20b/x"),
            ("http://h:x/y", "http://10.0.0.1:80/http://h:x/y"),
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
            let url = format_probe_url("http", "10.0.0.1", 80, path);
            assert_eq!(url, expected, "{path}");
        }
    }

    #[test]
    fn ipv6_address_is_bracketed_and_other_hosts_are_escaped() {
        assert_eq!(
            format_probe_url("https", "::1", 80, "/"),
            "https://[::1]:80/"
        );
        assert_eq!(format_probe_url("http", "a/b", 80, "/"), "http://a%2Fb:80/");
    }
}
