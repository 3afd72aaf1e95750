//! Frames of SPDY/3.1 (draft-mbelshe-httpbis-spdy, section 2.2) that Kubernetes' clients send and receive.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Types of control frames.
mod frame_type {
    pub(super) const SYN_STREAM: u16 = 1;
    pub(super) const SYN_REPLY: u16 = 2;
    pub(super) const RST_STREAM: u16 = 3;
    pub(super) const PING: u16 = 6;
    pub(super) const GOAWAY: u16 = 7;
    pub(super) const HEADERS: u16 = 8;
}

const VERSION: u16 = 3;
const CONTROL_BIT: u32 = 1 << 31;
const FLAG_FIN: u8 = 1;
/// Maximum length of a control frame in bytes, without its header.
const MAX_CONTROL_FRAME_LEN: usize = 64 << 10;

/// Status code of a `RST_STREAM` frame (section 2.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum ResetReason {
    ProtocolError = 1,
    RefusedStream = 3,
}

/// Flag `FLAG_FIN`: the sender sends nothing more on the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Fin {
    No,
    Yes,
}

/// Received frame.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::api) enum Frame {
    /// Opens a stream.
    Open {
        stream: u32,
        fin: Fin,
        headers: Bytes,
    },
    /// Announces `length` bytes of data, which the caller must read from the connection.
    Data {
        stream: u32,
        fin: Fin,
        length: usize,
    },
    /// Additional headers of a stream, or a reply.
    Headers { headers: Bytes },
    /// Aborts a stream.
    Reset { stream: u32 },
    /// Must be sent back.
    Ping { id: u32 },
    /// The client opens no more streams.
    GoAway,
    /// Ignored: settings and window updates.
    Other,
}

/// Reads the next frame, except the data of a data frame. Returns `None` at the end of the connection.
pub(in crate::api) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut head = [0; 8];
    match from.read(&mut head[..1]).await? {
        0 => return Ok(None),
        _ => from.read_exact(&mut head[1..]).await?,
    };
    let [a, b, c, d, flags, e, f, g] = head;
    let first = u32::from_be_bytes([a, b, c, d]);
    let length = u32::from_be_bytes([0, e, f, g]) as usize;
    let fin = if flags & FLAG_FIN == 0 {
        Fin::No
    } else {
        Fin::Yes
    };
    if first & CONTROL_BIT == 0 {
        return Ok(Some(Frame::Data {
            stream: first,
            fin,
            length,
        }));
    }
    let version = u16::from_be_bytes([a & 0x7f, b]);
    if version != VERSION {
        return Err(invalid(format!(
            "unsupported version SPDY/{version}: must be {VERSION}"
        )));
    }
    if length > MAX_CONTROL_FRAME_LEN {
        return Err(invalid(format!(
            "control frame of {length} bytes is longer than {MAX_CONTROL_FRAME_LEN}"
        )));
    }
    let mut body = BytesMut::zeroed(length);
    from.read_exact(&mut body).await?;
    parse_control_frame(u16::from_be_bytes([c, d]), fin, &body.freeze()).map(Some)
}

fn parse_control_frame(frame_type: u16, fin: Fin, body: &Bytes) -> io::Result<Frame> {
    let stream = || {
        let bytes = body.first_chunk().ok_or_else(truncated)?;
        Ok::<_, io::Error>(u32::from_be_bytes(*bytes) & !CONTROL_BIT)
    };
    let headers_at = |offset: usize| match body.len() {
        length if length < offset => Err(truncated()),
        _ => Ok(body.slice(offset..)),
    };
    Ok(match frame_type {
        frame_type::SYN_STREAM => Frame::Open {
            stream: stream()?,
            fin,
            // After the stream, its associated stream, its priority and its slot.
            headers: headers_at(10)?,
        },
        frame_type::SYN_REPLY | frame_type::HEADERS => Frame::Headers {
            headers: headers_at(4)?,
        },
        frame_type::RST_STREAM => Frame::Reset { stream: stream()? },
        // An ID uses all 32 bits, unlike a stream.
        frame_type::PING => Frame::Ping {
            id: u32::from_be_bytes(*body.first_chunk().ok_or_else(truncated)?),
        },
        frame_type::GOAWAY => Frame::GoAway,
        _ => Frame::Other,
    })
}

fn truncated() -> io::Error {
    invalid("control frame is too short for its type".to_owned())
}

pub(super) fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn control_frame(frame_type: u16, body: &[&[u8]]) -> Bytes {
    let length: usize = body.iter().map(|part| part.len()).sum();
    let mut bytes = BytesMut::with_capacity(8 + length);
    bytes.put_u16(VERSION | 0x8000);
    bytes.put_u16(frame_type);
    bytes.put_u32(u32::try_from(length).expect("frames of this server are short"));
    body.iter().for_each(|part| bytes.put_slice(part));
    bytes.freeze()
}

/// Encodes `SYN_REPLY`, which accepts a stream.
pub(super) fn reply(stream: u32, headers: &[u8]) -> Bytes {
    control_frame(frame_type::SYN_REPLY, &[&stream.to_be_bytes(), headers])
}

/// Encodes `RST_STREAM`, which aborts a stream.
pub(in crate::api) fn reset(stream: u32, reason: ResetReason) -> Bytes {
    let reason = (reason as u32).to_be_bytes();
    control_frame(frame_type::RST_STREAM, &[&stream.to_be_bytes(), &reason])
}

pub(in crate::api) fn ping(id: u32) -> Bytes {
    control_frame(frame_type::PING, &[&id.to_be_bytes()])
}

/// Encodes `GOAWAY` after a protocol error; `last_stream` is the last one that was accepted.
pub(super) fn go_away(last_stream: u32) -> Bytes {
    const PROTOCOL_ERROR: u32 = 1;
    let body = [last_stream.to_be_bytes(), PROTOCOL_ERROR.to_be_bytes()];
    control_frame(frame_type::GOAWAY, &[&body[0], &body[1]])
}

/// Encodes a data frame; `data` must be shorter than 2^24 bytes.
pub(in crate::api) fn data(stream: u32, fin: Fin, data: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(8 + data.len());
    bytes.put_u32(stream);
    bytes.put_u8(match fin {
        Fin::Yes => FLAG_FIN,
        Fin::No => 0,
    });
    bytes.put_uint(data.len() as u64, 3);
    bytes.put_slice(data);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_one(bytes: &[u8]) -> io::Result<Option<Frame>> {
        read(&mut &*bytes).await
    }

    #[tokio::test]
    async fn frame_is_parsed_by_its_type() {
        let headers = || Bytes::from_static(b"zip");
        for (bytes, frame) in [
            (
                b"\x80\x03\0\x01\0\0\0\x0d\x80\0\0\x05\0\0\0\0\0\0zip".as_slice(),
                Frame::Open {
                    stream: 5,
                    fin: Fin::No,
                    headers: headers(),
                },
            ),
            (
                b"\x80\x03\0\x01\x01\0\0\x0d\0\0\0\x05\0\0\0\0\0\0zip",
                Frame::Open {
                    stream: 5,
                    fin: Fin::Yes,
                    headers: headers(),
                },
            ),
            (
                b"\0\0\0\x07\x01\x01\0\x02",
                Frame::Data {
                    stream: 7,
                    fin: Fin::Yes,
                    length: 65_538,
                },
            ),
            (
                b"\x80\x03\0\x08\0\0\0\x07\0\0\0\x05zip",
                Frame::Headers { headers: headers() },
            ),
            (
                b"\x80\x03\0\x02\0\0\0\x07\0\0\0\x05zip",
                Frame::Headers { headers: headers() },
            ),
            (
                b"\x80\x03\0\x03\0\0\0\x08\0\0\0\x05\0\0\0\x05",
                Frame::Reset { stream: 5 },
            ),
            (
                b"\x80\x03\0\x06\0\0\0\x04\x80\0\0\x09",
                Frame::Ping { id: 0x8000_0009 },
            ),
            (b"\x80\x03\0\x07\0\0\0\x08\0\0\0\0\0\0\0\0", Frame::GoAway),
            (b"\x80\x03\0\x04\0\0\0\x04\0\0\0\0", Frame::Other),
        ] {
            assert_eq!(read_one(bytes).await.unwrap(), Some(frame));
        }
        assert_eq!(read_one(b"").await.unwrap(), None);
    }

    #[tokio::test]
    async fn malformed_frame_is_an_error() {
        for bytes in [
            b"\x80\x03\0".as_slice(),
            b"\x80\x02\0\x01\0\0\0\0",
            b"\x80\x03\0\x01\0\0\0\x09\0\0\0\x05\0\0\0\0\0",
            b"\x80\x03\0\x03\0\0\0\x03\0\0\0",
            b"\x80\x03\0\x06\0\0\0\x03\0\0\0",
            b"\x80\x03\0\x08\0\0\0\x03\0\0\0",
            b"\x80\x03\0\x04\0\x01\0\x01",
            b"\x80\x03\0\x04\0\0\0\x02\0",
        ] {
            assert!(read_one(bytes).await.is_err(), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn encoded_frame_can_be_parsed() {
        let length = b"bytes".len();
        for (bytes, frame) in [
            (
                data(3, Fin::Yes, b"bytes"),
                Frame::Data {
                    stream: 3,
                    fin: Fin::Yes,
                    length,
                },
            ),
            (
                data(3, Fin::No, b"bytes"),
                Frame::Data {
                    stream: 3,
                    fin: Fin::No,
                    length,
                },
            ),
            (
                reset(3, ResetReason::RefusedStream),
                Frame::Reset { stream: 3 },
            ),
            (ping(2), Frame::Ping { id: 2 }),
            (go_away(3), Frame::GoAway),
            (
                reply(3, b"zip"),
                Frame::Headers {
                    headers: Bytes::from_static(b"zip"),
                },
            ),
        ] {
            assert_eq!(read_one(&bytes).await.unwrap(), Some(frame));
        }
        assert_eq!(reset(3, ResetReason::RefusedStream).last(), Some(&3));
        assert_eq!(reset(3, ResetReason::ProtocolError).last(), Some(&1));
    }
}
