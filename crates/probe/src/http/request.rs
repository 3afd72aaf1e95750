//! Headers of a probe's request, as the kubelet and Go's client send them.

use super::error::HttpError;
use crate::go_url::{Url, has_control_characters};
use crate::outcome::Reason;

/// Request to one URL of a chain of redirects.
pub(super) struct Request<'a> {
    pub(super) url: &'a Url,
    /// Value of the `Host` header, if it is not the URL's host.
    pub(super) host: Option<&'a str>,
    /// Headers of the manifest, with canonical names.
    pub(super) headers: &'a [(String, String)],
    /// URL of the previous request.
    pub(super) referer: Option<String>,
    /// Sent unless `headers` contain another one.
    pub(super) user_agent: &'a str,
}

/// Headers that the client sets itself, or that describe a body, which a GET request does not have.
const DROPPED_HEADERS: [&str; 6] = [
    "Host",
    "User-Agent",
    "Content-Length",
    "Transfer-Encoding",
    "Trailer",
    "Referer",
];

impl Request<'_> {
    /// Returns the value of the `Host` header.
    pub(super) fn authority(&self) -> &str {
        let host = self.host.filter(|host| !host.is_empty());
        host.unwrap_or(&self.url.authority)
    }

    /// Returns the headers except `Host`, in the order in which Go sends them.
    pub(super) fn header_lines(&self) -> Result<Vec<(&str, &str)>, HttpError> {
        let mut lines = Vec::with_capacity(self.headers.len() + 4);
        let user_agent = first_value(self.headers, "User-Agent").unwrap_or(self.user_agent);
        if !user_agent.is_empty() {
            lines.push(("User-Agent", user_agent));
        }
        let accept = first_value(self.headers, "Accept");
        let mut rest: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !DROPPED_HEADERS.contains(name))
            .filter(|(name, _)| *name != "Accept" || accept != Some(""))
            .collect();
        if accept.is_none() {
            rest.push(("Accept", "*/*"));
        }
        if let Some(referer) = first_value(self.headers, "Referer").or(self.referer.as_deref()) {
            rest.push(("Referer", referer));
        }
        rest.sort_by_key(|(name, _)| *name);
        lines.extend(rest);
        check_headers(&lines)?;
        Ok(lines)
    }

    /// Returns request line and headers for HTTP/1.1.
    pub(super) fn head(&self) -> Result<String, HttpError> {
        let authority = self.authority();
        if !authority.bytes().all(is_host_byte) {
            return Err(invalid_request("http: invalid Host header"));
        }
        let target = self.url.request_target();
        if has_control_characters(&target) {
            return Err(invalid_request(
                "net/http: can't write control character in Request.URL",
            ));
        }
        let lines = self.header_lines()?;
        let mut head = format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\n");
        for (name, value) in &lines {
            head.extend([name, ": ", value.trim_matches([' ', '\t']), "\r\n"]);
        }
        if !has_connection_close(&lines) {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        Ok(head)
    }
}

/// Returns the first value of a header.
pub(super) fn first_value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    headers
        .find(|(header, _)| header == name)
        .map(|(_, value)| value.as_str())
}

fn has_connection_close(lines: &[(&str, &str)]) -> bool {
    let connection = lines.iter().filter(|(name, _)| *name == "Connection");
    connection
        .flat_map(|(_, value)| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("close"))
}

/// Rejects names and values that could inject other headers.
fn check_headers(lines: &[(&str, &str)]) -> Result<(), HttpError> {
    for (name, value) in lines {
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(invalid_request(format!(
                "net/http: invalid header field name {name:?}"
            )));
        }
        let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
        if value.bytes().any(is_control) {
            return Err(invalid_request(format!(
                "net/http: invalid header field value for {name:?}"
            )));
        }
    }
    Ok(())
}

fn invalid_request(text: impl Into<String>) -> HttpError {
    HttpError::new(Reason::Other, text)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&()*+,-.:;=@[]'_~".contains(&byte)
}
