//! One HTTP/1.1 exchange, up to the headers of the response.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::error::{HttpError, Stream};
use super::request::Request;
use super::response::{Body, Framing, Headers, Response};
use crate::go_format;

/// Maximum size of status line and headers in bytes. Go reads ten times as much, which no probe needs.
const MAX_HEAD_LEN: usize = 1 << 20;

/// Sends the request and reads the head of the final response. `endpoints` is for error texts.
pub(super) async fn exchange(
    request: &Request<'_>,
    mut stream: Box<dyn Stream>,
    endpoints: String,
) -> Result<Response, HttpError> {
    let head = request.head()?;
    // A server may respond and close before it has read the whole request; its response is used.
    let written = stream.write_all(head.as_bytes()).await;
    let mut buffer = Vec::with_capacity(512);
    let mut parsed_len = 0;
    loop {
        if should_reparse(&buffer, parsed_len)
            && let Some(head) = {
                parsed_len = buffer.len();
                Head::parse(&buffer)?
            }
        {
            let rest = buffer.split_off(head.length);
            if head.is_interim() {
                buffer = rest;
                parsed_len = 0;
                continue;
            }
            return Ok(Response {
                status: head.status,
                location: head.location,
                headers: Headers::Http1(buffer),
                body: Body::http1(head.framing, rest, stream, endpoints),
            });
        }
        if buffer.len() >= MAX_HEAD_LEN {
            return Err(HttpError::broken_connection(&format!(
                "net/http: server response headers exceeded {MAX_HEAD_LEN} bytes; aborted"
            )));
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) if buffer.is_empty() => {
                return Err(match written {
                    Ok(()) => HttpError::protocol("EOF"),
                    Err(error) => HttpError::io(&error, "write", &endpoints),
                });
            }
            Ok(0) => return Err(HttpError::broken_connection("unexpected EOF")),
            Ok(_) => {}
            Err(error) => return Err(HttpError::io(&error, "read", &endpoints)),
        }
    }
}

/// Returns `true` if a head that was incomplete at `parsed_len` bytes may now be complete or malformed.
///
/// A short head is parsed after each read, to detect errors as early as Go does. Parsing a long head after each byte would
/// take quadratic time, so it is parsed again only once it has an end, or has grown by a quarter.
fn should_reparse(buffer: &[u8], parsed_len: usize) -> bool {
    const SHORT_HEAD_LEN: usize = 4096;
    let new = &buffer[parsed_len.saturating_sub(3).min(buffer.len())..];
    let has_end = || {
        new.windows(2).any(|pair| pair == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
    };
    buffer.len() <= SHORT_HEAD_LEN || buffer.len() - parsed_len > parsed_len / 4 || has_end()
}

/// Status line and headers of a response.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    location: Option<String>,
    framing: Framing,
    length: usize,
}

impl Head {
    /// Returns `None` if `buffer` does not contain the whole head.
    fn parse(buffer: &[u8]) -> Result<Option<Self>, HttpError> {
        let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let status = parse_status_line(buffer[..end].trim_ascii_end())?;
        let lines = buffer.iter().filter(|byte| **byte == b'\n').count();
        let mut headers = vec![httparse::EMPTY_HEADER; lines];
        let mut response = httparse::Response::new(&mut headers);
        let mut config = httparse::ParserConfig::default();
        config.allow_obsolete_multiline_headers_in_responses(true);
        match config.parse_response(&mut response, buffer) {
            Ok(httparse::Status::Partial) => Ok(None),
            Ok(httparse::Status::Complete(length)) => Ok(Some(Self {
                status,
                location: location(response.headers),
                framing: framing(status, response.headers)?,
                length,
            })),
            Err(error) => Err(HttpError::broken_connection(&format!(
                "malformed MIME header: {error}"
            ))),
        }
    }

    /// Returns `true` if another response follows. 101 is final, because it switches the protocol.
    fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// Parses the status of a line like `HTTP/1.1 200 OK`.
fn parse_status_line(line: &[u8]) -> Result<u16, HttpError> {
    let mut parts = line.splitn(2, |byte| *byte == b' ');
    let version = parts.next().unwrap_or_default();
    let Some(rest) = parts.next() else {
        let quoted = go_format::quote(line);
        return Err(HttpError::protocol(format!(
            "malformed HTTP response {quoted}"
        )));
    };
    let code = rest.trim_ascii_start();
    let code = code.split(|byte| *byte == b' ').next().unwrap_or_default();
    let status = std::str::from_utf8(code).ok().and_then(|code| {
        let three = code.len() == 3 && code.bytes().all(|digit| digit.is_ascii_digit());
        code.parse().ok().filter(|_| three)
    });
    let Some(status) = status else {
        let quoted = go_format::quote(code);
        return Err(HttpError::broken_connection(&format!(
            "malformed HTTP status code {quoted}"
        )));
    };
    if !matches!(version, b"HTTP/1.0" | b"HTTP/1.1") {
        let quoted = go_format::quote(version);
        return Err(HttpError::broken_connection(&format!(
            "malformed HTTP version {quoted}"
        )));
    }
    Ok(status)
}

fn location(headers: &[httparse::Header<'_>]) -> Option<String> {
    let mut locations = values(headers, "location");
    let location = locations.next()?;
    Some(String::from_utf8_lossy(location).into_owned())
}

fn values<'a>(
    headers: &'a [httparse::Header<'_>],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    let named = headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value.trim_ascii())
}

fn framing(status: u16, headers: &[httparse::Header<'_>]) -> Result<Framing, HttpError> {
    if matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if let Some(encoding) = values(headers, "transfer-encoding").next() {
        return if encoding.eq_ignore_ascii_case(b"chunked") {
            Ok(Framing::Chunked)
        } else {
            let quoted = go_format::quote(encoding);
            Err(HttpError::broken_connection(&format!(
                "unsupported transfer encoding: {quoted}"
            )))
        };
    }
    let mut lengths = values(headers, "content-length");
    let Some(length) = lengths.next() else {
        return Ok(Framing::Close);
    };
    if lengths.any(|other| other != length) {
        return Err(HttpError::broken_connection(
            "http: message cannot contain multiple Content-Length headers",
        ));
    }
    let digits = std::str::from_utf8(length).ok();
    let digits = digits.filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(length) => Ok(Framing::Length(length)),
        None => {
            let quoted = go_format::quote(length);
            Err(HttpError::broken_connection(&format!(
                "bad Content-Length {quoted}"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_text(bytes: &[u8]) -> String {
        Head::parse(bytes).unwrap_err().text
    }

    #[test]
    fn head_is_parsed_once_it_is_complete() {
        let response = b"HTTP/1.1 302 Found\r\nLocation: /x \r\ncontent-length: 3\r\n\r\nabc";
        for end in 0..response.len() - 3 {
            assert_eq!(Head::parse(&response[..end]), Ok(None), "{end} bytes");
        }
        let head = Head {
            status: 302,
            location: Some("/x".to_owned()),
            framing: Framing::Length(3),
            length: response.len() - 3,
        };
        assert_eq!(Head::parse(response), Ok(Some(head)));
    }

    #[test]
    fn headers_determine_the_framing_of_the_body() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Framing::Close),
            ("HTTP/1.0 200\n\n", Framing::Close),
            (
                "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
                Framing::Length(0),
            ),
            ("HTTP/1.1 304 No\r\n\r\n", Framing::Length(0)),
            ("HTTP/1.1 101 Switch\r\n\r\n", Framing::Length(0)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 5\r\n\r\n",
                Framing::Chunked,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
                Framing::Length(5),
            ),
        ] {
            let head = Head::parse(head.as_bytes()).unwrap().unwrap();
            assert_eq!(head.framing, expected);
        }
    }

    #[test]
    fn malformed_head_is_an_error_with_the_text_of_go() {
        let broken = "net/http: HTTP/1.x transport connection broken: ";
        for (head, expected) in [
            (
                "garbage\n",
                r#"malformed HTTP response "garbage""#.to_owned(),
            ),
            ("\r\n", r#"malformed HTTP response """#.to_owned()),
            (
                "HTTP/1.1 -1 x\r\n",
                format!("{broken}malformed HTTP status code \"-1\""),
            ),
            (
                "HTTP/1.1 2000\r\n",
                format!("{broken}malformed HTTP status code \"2000\""),
            ),
            (
                "SSH-2.0 200\r\n",
                format!("{broken}malformed HTTP version \"SSH-2.0\""),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                format!("{broken}bad Content-Length \"-1\""),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                format!("{broken}http: message cannot contain multiple Content-Length headers"),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                format!("{broken}unsupported transfer encoding: \"gzip\""),
            ),
        ] {
            assert_eq!(error_text(head.as_bytes()), expected);
        }
        let no_colon = error_text(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n");
        assert!(
            no_colon.starts_with(&format!("{broken}malformed MIME header")),
            "{no_colon}"
        );
    }
}
