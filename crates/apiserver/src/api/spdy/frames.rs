//! The frames of SPDY/3.1 (draft-mbelshe-httpbis-spdy, 2.2) that Kubernetes' clients send, and those that they are sent.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a frame's type is called by.
mod kind {
    pub(super) const SYN_STREAM: u16 = 1;
    pub(super) const SYN_REPLY: u16 = 2;
    pub(super) const RST_STREAM: u16 = 3;
    pub(super) const PING: u16 = 6;
    pub(super) const GOAWAY: u16 = 7;
    pub(super) const HEADERS: u16 = 8;
}

const VERSION: u16 = 3;
const CONTROL: u32 = 1 << 31;
const FIN: u8 = 1;
/// The most that is read of a frame other than data.
const MOST: usize = 64 << 10;

/// Why a stream is refused (2.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Refusal {
    ProtocolError = 1,
    RefusedStream = 3,
}

/// A frame that came.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::api) enum Frame {
    /// A stream begins; `last` if nothing will come on it.
    Open {
        stream: u32,
        last: bool,
        headers: Bytes,
    },
    /// So many bytes of a stream follow.
    Data {
        stream: u32,
        last: bool,
        length: usize,
    },
    /// More headers of a stream.
    Headers { headers: Bytes },
    /// A stream is broken off.
    Reset { stream: u32 },
    /// To be sent back.
    Ping { id: u32 },
    /// No more streams will come.
    GoAway,
    /// Nothing that matters here: settings, windows, replies to streams that this side never opens.
    Other,
}

/// The next frame; of data, what comes before it. None at the end.
pub(in crate::api) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut head = [0; 8];
    match from.read(&mut head[..1]).await? {
        0 => return Ok(None),
        _ => from.read_exact(&mut head[1..]).await?,
    };
    let [a, b, c, d, flags, e, f, g] = head;
    let first = u32::from_be_bytes([a, b, c, d]);
    let length = u32::from_be_bytes([0, e, f, g]) as usize;
    let last = flags & FIN != 0;
    if first & CONTROL == 0 {
        return Ok(Some(Frame::Data {
            stream: first,
            last,
            length,
        }));
    }
    let version = u16::from_be_bytes([a & 0x7f, b]);
    if version != VERSION {
        return Err(invalid(format!(
            "a frame of SPDY/{version}, which is not 3"
        )));
    }
    if length > MOST {
        return Err(invalid(format!("a frame of {length} bytes is too long")));
    }
    let mut body = BytesMut::zeroed(length);
    from.read_exact(&mut body).await?;
    control(u16::from_be_bytes([c, d]), last, &body.freeze()).map(Some)
}

fn control(kind: u16, last: bool, body: &Bytes) -> io::Result<Frame> {
    let number = || {
        let bytes = body.first_chunk().ok_or_else(short)?;
        Ok::<_, io::Error>(u32::from_be_bytes(*bytes) & !CONTROL)
    };
    // What stands between the stream and its headers: another stream, a priority and a slot.
    let after = |skipped: usize| match body.len() {
        length if length < skipped => Err(short()),
        _ => Ok(body.slice(skipped..)),
    };
    Ok(match kind {
        kind::SYN_STREAM => Frame::Open {
            stream: number()?,
            last,
            headers: after(10)?,
        },
        kind::SYN_REPLY | kind::HEADERS => Frame::Headers { headers: after(4)? },
        kind::RST_STREAM => Frame::Reset { stream: number()? },
        // Of all bits: it is no stream.
        kind::PING => Frame::Ping {
            id: u32::from_be_bytes(*body.first_chunk().ok_or_else(short)?),
        },
        kind::GOAWAY => Frame::GoAway,
        _ => Frame::Other,
    })
}

fn short() -> io::Error {
    invalid("a frame is too short for what it is".to_owned())
}

pub(super) fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn frame(kind: u16, body: &[&[u8]]) -> Bytes {
    let length: usize = body.iter().map(|part| part.len()).sum();
    let mut bytes = BytesMut::with_capacity(8 + length);
    bytes.put_u16(VERSION | 0x8000);
    bytes.put_u16(kind);
    bytes.put_u32(u32::try_from(length).expect("replies are short"));
    body.iter().for_each(|part| bytes.put_slice(part));
    bytes.freeze()
}

/// A stream is taken.
pub(super) fn reply(stream: u32, headers: &[u8]) -> Bytes {
    frame(kind::SYN_REPLY, &[&stream.to_be_bytes(), headers])
}

/// A stream is refused.
pub(in crate::api) fn reset(stream: u32, why: Refusal) -> Bytes {
    let why = (why as u32).to_be_bytes();
    frame(kind::RST_STREAM, &[&stream.to_be_bytes(), &why])
}

pub(in crate::api) fn ping(id: u32) -> Bytes {
    frame(kind::PING, &[&id.to_be_bytes()])
}

/// This side ends it: the last stream that it has seen, and that something was against the protocol.
pub(super) fn go_away(last: u32) -> Bytes {
    frame(kind::GOAWAY, &[&last.to_be_bytes(), &1_u32.to_be_bytes()])
}

/// Bytes of a stream, no more than three can count; `last` if none come after them.
pub(in crate::api) fn data(stream: u32, last: bool, data: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(8 + data.len());
    bytes.put_u32(stream);
    bytes.put_u8(if last { FIN } else { 0 });
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
    async fn each_frame_is_read_as_what_it_is() {
        let headers = || Bytes::from_static(b"zip");
        for (bytes, frame) in [
            (
                b"\x80\x03\0\x01\0\0\0\x0d\x80\0\0\x05\0\0\0\0\0\0zip".as_slice(),
                Frame::Open {
                    stream: 5,
                    last: false,
                    headers: headers(),
                },
            ),
            (
                b"\x80\x03\0\x01\x01\0\0\x0d\0\0\0\x05\0\0\0\0\0\0zip",
                Frame::Open {
                    stream: 5,
                    last: true,
                    headers: headers(),
                },
            ),
            (
                b"\0\0\0\x07\x01\x01\0\x02",
                Frame::Data {
                    stream: 7,
                    last: true,
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
    async fn what_is_no_frame_is_an_error() {
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
    async fn what_is_written_is_what_is_read() {
        let length = b"bytes".len();
        for (bytes, frame) in [
            (
                data(3, true, b"bytes"),
                Frame::Data {
                    stream: 3,
                    last: true,
                    length,
                },
            ),
            (
                data(3, false, b"bytes"),
                Frame::Data {
                    stream: 3,
                    last: false,
                    length,
                },
            ),
            (reset(3, Refusal::RefusedStream), Frame::Reset { stream: 3 }),
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
        assert_eq!(reset(3, Refusal::RefusedStream).last(), Some(&3));
        assert_eq!(reset(3, Refusal::ProtocolError).last(), Some(&1));
    }
}
