//! Responses and the reading of their bodies.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio_util::task::AbortOnDropHandle;

use super::error::{Stream, io_error_text};
use crate::outcome::MAX_OUTPUT;

/// A response whose body has not been read.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) headers: Headers,
    pub(super) body: Body,
}

/// Headers as received. They are converted only for callers that need them.
pub(super) enum Headers {
    /// Complete head, which has been parsed successfully.
    Http1(Vec<u8>),
    Http2(http::HeaderMap),
}

impl Headers {
    /// Returns names and values in order; names in any case.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
        match self {
            Self::Http1(head) => {
                let lines = head.iter().filter(|byte| **byte == b'\n').count();
                let mut headers = vec![httparse::EMPTY_HEADER; lines];
                let mut response = httparse::Response::new(&mut headers);
                let mut config = httparse::ParserConfig::default();
                config.allow_obsolete_multiline_headers_in_responses(true);
                if config.parse_response(&mut response, head).is_err() {
                    return Vec::new(); // Unreachable: the head has been parsed before.
                }
                let headers = response.headers.iter();
                headers
                    .map(|header| (header.name.to_owned(), text(header.value)))
                    .collect()
            }
            Self::Http2(headers) => headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
                .collect(),
        }
    }
}

pub(super) enum Body {
    Http1 {
        framing: Framing,
        /// Bytes read after the head, then the connection.
        reader: Box<dyn AsyncBufRead + Send + Unpin>,
        /// For error texts.
        endpoints: String,
    },
    Http2 {
        stream: h2::RecvStream,
        /// Drives the connection until the body is dropped.
        _connection: AbortOnDropHandle<()>,
    },
}

/// Framing of an HTTP/1.1 body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    /// The body ends when the connection is closed.
    Close,
}

/// Maximum length of a line between chunks, in bytes.
const MAX_CHUNK_LINE_LEN: u64 = 4096;

impl Body {
    pub(super) fn http1(
        framing: Framing,
        rest: Vec<u8>,
        stream: Box<dyn Stream>,
        endpoints: String,
    ) -> Self {
        let reader = tokio::io::BufReader::with_capacity(1024, io::Cursor::new(rest).chain(stream));
        Self::Http1 {
            framing,
            reader: Box::new(reader),
            endpoints,
        }
    }

    /// Reads at most [`MAX_OUTPUT`] bytes of the body.
    ///
    /// # Errors
    /// Go's text.
    pub(super) async fn read(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Http1 {
                framing,
                mut reader,
                endpoints,
            } => {
                let mut body = Vec::new();
                match framing {
                    Framing::Length(length) => read_exactly(&mut reader, length, &mut body).await,
                    Framing::Chunked => read_chunks(&mut reader, &mut body).await,
                    Framing::Close => read_at_most(&mut reader, MAX_OUTPUT as u64, &mut body).await,
                }
                .map_err(|error| match error.kind() {
                    io::ErrorKind::InvalidData => error.to_string(),
                    _ => io_error_text(&error, "read", &endpoints),
                })?;
                Ok(body)
            }
            Self::Http2 { stream, .. } => read_data_frames(stream).await,
        }
    }
}

async fn read_at_most(
    reader: &mut (impl AsyncRead + Unpin),
    limit: u64,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    reader.take(limit).read_to_end(body).await?;
    Ok(())
}

async fn read_exactly(
    reader: &mut (impl AsyncRead + Unpin),
    length: u64,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    let wanted = length.min((MAX_OUTPUT - body.len()) as u64);
    let before = body.len() as u64;
    read_at_most(reader, wanted, body).await?;
    if body.len() as u64 - before < wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

async fn read_chunks(
    reader: &mut (impl AsyncBufRead + Unpin),
    body: &mut Vec<u8>,
) -> io::Result<()> {
    loop {
        let length = parse_chunk_length(&read_line(reader).await?)?;
        if length == 0 {
            return Ok(());
        }
        read_exactly(reader, length, body).await?;
        if body.len() >= MAX_OUTPUT {
            return Ok(());
        }
        if !read_line(reader).await?.is_empty() {
            return Err(malformed("malformed chunked encoding"));
        }
    }
}

/// Reads a line, without its line break.
async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut limited = reader.take(MAX_CHUNK_LINE_LEN);
    limited.read_until(b'\n', &mut line).await?;
    if line.pop() != Some(b'\n') {
        return Err(if line.len() as u64 + 1 >= MAX_CHUNK_LINE_LEN {
            malformed("http: chunk line too long")
        } else {
            io::ErrorKind::UnexpectedEof.into()
        });
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

fn parse_chunk_length(line: &[u8]) -> io::Result<u64> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = digits.trim_ascii();
    if digits.is_empty() {
        return Err(malformed("empty hex number for chunk length"));
    }
    if digits.len() > 16 {
        return Err(malformed("http chunk length too large"));
    }
    digits.iter().try_fold(0_u64, |length, digit| {
        let digit = char::from(*digit).to_digit(16);
        let digit = digit.ok_or_else(|| malformed("invalid byte in chunk length"))?;
        Ok(length << 4 | u64::from(digit))
    })
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

async fn read_data_frames(mut stream: h2::RecvStream) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while body.len() < MAX_OUTPUT
        && let Some(data) = stream.data().await
    {
        let data = data.map_err(|error| error.to_string())?;
        let credit = stream.flow_control().release_capacity(data.len());
        credit.map_err(|error| error.to_string())?;
        body.extend_from_slice(&data[..data.len().min(MAX_OUTPUT - body.len())]);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(framing: Framing, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let reader = Box::new(io::Cursor::new(bytes.to_vec()));
        let endpoints = "a->b".to_owned();
        let body = Body::Http1 {
            framing,
            reader,
            endpoints,
        };
        body.read().await
    }

    #[tokio::test]
    async fn framing_determines_the_end_of_the_body() {
        for (framing, bytes, expected) in [
            (Framing::Length(2), "okay", Ok("ok")),
            (Framing::Length(0), "x", Ok("")),
            (Framing::Length(5), "okay", Err("unexpected EOF")),
            (Framing::Close, "okay", Ok("okay")),
            (Framing::Chunked, "2\r\nok\r\n0\r\n\r\n", Ok("ok")),
            (
                Framing::Chunked,
                "1;x=y\nA\n0A\n0123456789\n0\n",
                Ok("A0123456789"),
            ),
            (
                Framing::Chunked,
                "2\r\nokay\r\n",
                Err("malformed chunked encoding"),
            ),
            (
                Framing::Chunked,
                "x\r\n",
                Err("invalid byte in chunk length"),
            ),
            (
                Framing::Chunked,
                "\r\n",
                Err("empty hex number for chunk length"),
            ),
            (
                Framing::Chunked,
                "11111111111111111\r\n",
                Err("http chunk length too large"),
            ),
            (Framing::Chunked, "5\r\nok", Err("unexpected EOF")),
            (Framing::Chunked, "", Err("unexpected EOF")),
        ] {
            let found = read(framing, bytes.as_bytes()).await;
            let expected = expected.map(|text| text.as_bytes().to_vec());
            assert_eq!(
                found,
                expected.map_err(str::to_owned),
                "{framing:?} {bytes:?}"
            );
        }
    }

    #[tokio::test]
    async fn body_is_truncated_and_not_read_further() {
        let long = vec![b'a'; MAX_OUTPUT + 1];
        for framing in [Framing::Close, Framing::Length(1 << 40)] {
            assert_eq!(read(framing, &long).await.unwrap().len(), MAX_OUTPUT);
        }
        let mut chunked = format!("{:x}\r\n", MAX_OUTPUT + 1).into_bytes();
        chunked.extend(&long);
        let body = read(Framing::Chunked, &chunked).await.unwrap();
        assert_eq!(body.len(), MAX_OUTPUT);
        let endless = vec![b'1'; 8192];
        let error = read(Framing::Chunked, &endless).await.unwrap_err();
        assert_eq!(error, "http: chunk line too long");
    }
}
