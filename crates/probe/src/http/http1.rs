//! One exchange of HTTP/1.1, up to the head of the response.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::fault::{Fault, Stream};
use super::request::Request;
use super::response::{Body, Framing, Headers, Response};
use crate::text;

/// The most that a response's head may have. Go reads ten times as much; a probe has no use for it.
const MAX_HEAD: usize = 1 << 20;

/// Sends the request and reads the head of the final response. `route` names the two ends in errors.
pub(super) async fn exchange(
    request: &Request<'_>,
    mut stream: Box<dyn Stream>,
    route: String,
) -> Result<Response, Fault> {
    let head = request.head()?;
    // A server may answer and close before it has read everything: what it said counts.
    let written = stream.write_all(head.as_bytes()).await;
    let mut buffer = Vec::with_capacity(512);
    let mut looked = 0;
    loop {
        if is_worth_a_look(&buffer, looked)
            && let Some(head) = {
                looked = buffer.len();
                Head::parse(&buffer)?
            }
        {
            let rest = buffer.split_off(head.length);
            if head.is_interim() {
                buffer = rest;
                looked = 0;
                continue;
            }
            return Ok(Response {
                status: head.status,
                location: head.location,
                headers: Headers::Http1(buffer),
                body: Body::http1(head.framing, rest, stream, route),
            });
        }
        if buffer.len() >= MAX_HEAD {
            return Err(Fault::broken(&format!(
                "net/http: server response headers exceeded {MAX_HEAD} bytes; aborted"
            )));
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) if buffer.is_empty() => {
                return Err(match written {
                    Ok(()) => Fault::protocol("EOF"),
                    Err(error) => Fault::io(&error, "write", &route),
                });
            }
            Ok(0) => return Err(Fault::broken("unexpected EOF")),
            Ok(_) => {}
            Err(error) => return Err(Fault::io(&error, "read", &route)),
        }
    }
}

/// Whether a head that was incomplete at a length of `looked` may be complete now, or be found to be malformed.
///
/// A short head is looked at with every piece, as soon as Go would see what is wrong with it. A long one that comes a byte at
/// a time must not be read anew with each: there, only its end or a fourth more is worth it.
fn is_worth_a_look(buffer: &[u8], looked: usize) -> bool {
    const SHORT: usize = 4096;
    let new = &buffer[looked.saturating_sub(3).min(buffer.len())..];
    let ends = || {
        new.windows(2).any(|pair| pair == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
    };
    buffer.len() <= SHORT || buffer.len() - looked > looked / 4 || ends()
}

/// The head of a response.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    location: Option<String>,
    framing: Framing,
    length: usize,
}

impl Head {
    /// None while it is incomplete.
    fn parse(buffer: &[u8]) -> Result<Option<Self>, Fault> {
        let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let status = status_line(buffer[..end].trim_ascii_end())?;
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
            Err(error) => Err(Fault::broken(&format!("malformed MIME header: {error}"))),
        }
    }

    /// Whether another response follows: 101 changes the protocol and is the last.
    fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// The status of a line like `HTTP/1.1 200 OK`.
fn status_line(line: &[u8]) -> Result<u16, Fault> {
    let mut parts = line.splitn(2, |byte| *byte == b' ');
    let version = parts.next().unwrap_or_default();
    let Some(rest) = parts.next() else {
        let quoted = text::quote(line);
        return Err(Fault::protocol(format!("malformed HTTP response {quoted}")));
    };
    let code = rest.trim_ascii_start();
    let code = code.split(|byte| *byte == b' ').next().unwrap_or_default();
    let status = std::str::from_utf8(code).ok().and_then(|code| {
        let three = code.len() == 3 && code.bytes().all(|digit| digit.is_ascii_digit());
        code.parse().ok().filter(|_| three)
    });
    let Some(status) = status else {
        let quoted = text::quote(code);
        return Err(Fault::broken(&format!(
            "malformed HTTP status code {quoted}"
        )));
    };
    if !matches!(version, b"HTTP/1.0" | b"HTTP/1.1") {
        let quoted = text::quote(version);
        return Err(Fault::broken(&format!("malformed HTTP version {quoted}")));
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

fn framing(status: u16, headers: &[httparse::Header<'_>]) -> Result<Framing, Fault> {
    if matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if let Some(encoding) = values(headers, "transfer-encoding").next() {
        return if encoding.eq_ignore_ascii_case(b"chunked") {
            Ok(Framing::Chunked)
        } else {
            let quoted = text::quote(encoding);
            Err(Fault::broken(&format!(
                "unsupported transfer encoding: {quoted}"
            )))
        };
    }
    let mut lengths = values(headers, "content-length");
    let Some(length) = lengths.next() else {
        return Ok(Framing::Close);
    };
    if lengths.any(|other| other != length) {
        return Err(Fault::broken(
            "http: message cannot contain multiple Content-Length headers",
        ));
    }
    let digits = std::str::from_utf8(length).ok();
    let digits = digits.filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(length) => Ok(Framing::Length(length)),
        None => {
            let quoted = text::quote(length);
            Err(Fault::broken(&format!("bad Content-Length {quoted}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(bytes: &[u8]) -> String {
        Head::parse(bytes).unwrap_err().text
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 302 Found\r\nLocation: /x \r\ncontent-length: 3\r\n\r\nabc";
        for end in 0..whole.len() - 3 {
            assert_eq!(Head::parse(&whole[..end]), Ok(None), "{end} bytes");
        }
        let head = Head {
            status: 302,
            location: Some("/x".to_owned()),
            framing: Framing::Length(3),
            length: whole.len() - 3,
        };
        assert_eq!(Head::parse(whole), Ok(Some(head)));
    }

    #[test]
    fn a_body_is_framed_as_its_headers_say() {
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
    fn a_malformed_head_is_told_in_gos_words() {
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
            assert_eq!(text_of(head.as_bytes()), expected);
        }
        let no_colon = text_of(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n");
        assert!(
            no_colon.starts_with(&format!("{broken}malformed MIME header")),
            "{no_colon}"
        );
    }
}
