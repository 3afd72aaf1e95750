//! The header lines of a probe's request, as Go's client and the kubelet write them.

use super::fault::Fault;
use super::url::Url;
use crate::outcome::Reason;

/// One hop's request.
pub(super) struct Request<'a> {
    pub(super) url: &'a Url,
    /// What to send as Host instead of the URL's.
    pub(super) host: Option<&'a str>,
    /// What the manifest asks for, names canonical.
    pub(super) headers: &'a [(String, String)],
    /// The hop before this one.
    pub(super) referer: Option<String>,
    /// Sent unless the manifest says otherwise.
    pub(super) user_agent: &'a str,
}

/// Names that the client sets or that would lie about the empty body.
const DROPPED: [&str; 6] = [
    "Host",
    "User-Agent",
    "Content-Length",
    "Transfer-Encoding",
    "Trailer",
    "Referer",
];

impl Request<'_> {
    /// The host asked for.
    pub(super) fn authority(&self) -> &str {
        let host = self.host.filter(|host| !host.is_empty());
        host.unwrap_or(&self.url.authority)
    }

    /// Every header but Host, in the order they are sent.
    pub(super) fn lines(&self) -> Result<Vec<(&str, &str)>, Fault> {
        let mut lines = Vec::with_capacity(self.headers.len() + 4);
        let user_agent = first(self.headers, "User-Agent").unwrap_or(self.user_agent);
        if !user_agent.is_empty() {
            lines.push(("User-Agent", user_agent));
        }
        let accept = first(self.headers, "Accept");
        let mut rest: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !DROPPED.contains(name))
            .filter(|(name, _)| *name != "Accept" || accept != Some(""))
            .collect();
        if accept.is_none() {
            rest.push(("Accept", "*/*"));
        }
        if let Some(referer) = first(self.headers, "Referer").or(self.referer.as_deref()) {
            rest.push(("Referer", referer));
        }
        rest.sort_by_key(|(name, _)| *name);
        lines.extend(rest);
        check(&lines)?;
        Ok(lines)
    }

    /// The whole HTTP/1.1 request.
    pub(super) fn head(&self) -> Result<String, Fault> {
        let authority = self.authority();
        if !authority.bytes().all(is_host_byte) {
            return Err(local("http: invalid Host header"));
        }
        let target = self.url.request_target();
        if crate::action::url::has_control(&target) {
            return Err(local(
                "net/http: can't write control character in Request.URL",
            ));
        }
        let lines = self.lines()?;
        let mut head = format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\n");
        for (name, value) in &lines {
            head.extend([name, ": ", value.trim_matches([' ', '\t']), "\r\n"]);
        }
        if !closes(&lines) {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        Ok(head)
    }
}

/// The first value of a header.
pub(super) fn first<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    headers
        .find(|(given, _)| given == name)
        .map(|(_, value)| value.as_str())
}

fn closes(lines: &[(&str, &str)]) -> bool {
    let connection = lines.iter().filter(|(name, _)| *name == "Connection");
    connection
        .flat_map(|(_, value)| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("close"))
}

/// A name or value that would break the line it stands on never leaves this process.
fn check(lines: &[(&str, &str)]) -> Result<(), Fault> {
    for (name, value) in lines {
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(local(format!(
                "net/http: invalid header field name {name:?}"
            )));
        }
        let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
        if value.bytes().any(is_control) {
            return Err(local(format!(
                "net/http: invalid header field value for {name:?}"
            )));
        }
    }
    Ok(())
}

fn local(text: impl Into<String>) -> Fault {
    Fault::new(Reason::Other, text)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&()*+,-.:;=@[]'_~".contains(&byte)
}
