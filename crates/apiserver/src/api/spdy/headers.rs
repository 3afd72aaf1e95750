//! The headers of SPDY streams: pairs of texts, compressed by zlib with a dictionary that both sides know, as one stream for
//! all blocks that go in one direction.

use std::sync::LazyLock;

use flate2::{Decompress, FlushDecompress, Status};

/// The words of the dictionary (SPDY/3.1, 2.6.10.1), each with its length before it.
const WORDS: [&str; 65] = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
];
/// What follows them.
const REST: &str = concat!(
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505",
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request",
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented",
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00",
    " Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,",
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=",
    "gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
);

static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Vec::new();
    for word in WORDS {
        let length = u32::try_from(word.len()).expect("words are short");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(word.as_bytes());
    }
    bytes.extend_from_slice(REST.as_bytes());
    bytes
});

/// The most that one block may come to: a stream has three short headers.
const MOST: usize = 16 << 10;

/// A block of headers that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct HeaderError(&'static str);

/// The headers of a stream, whose names are in lower case.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::api) struct Headers(Vec<(String, String)>);

impl Headers {
    pub(in crate::api) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What a client's blocks have in common.
pub(super) struct Inflate(Decompress);

impl Inflate {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    pub(super) fn read(&mut self, block: &[u8]) -> Result<Headers, HeaderError> {
        let pairs = pairs(&self.inflate(block)?);
        let pairs = pairs.ok_or(HeaderError("a block of headers that is cut short"))?;
        Ok(Headers(pairs))
    }

    fn inflate(&mut self, block: &[u8]) -> Result<Vec<u8>, HeaderError> {
        let mut text = Vec::with_capacity(MOST);
        let start = self.0.total_in();
        loop {
            let read = usize::try_from(self.0.total_in() - start).unwrap_or(usize::MAX);
            let rest = block.get(read..).unwrap_or_default();
            match self
                .0
                .decompress_vec(rest, &mut text, FlushDecompress::Sync)
            {
                Ok(Status::StreamEnd) => return Ok(text),
                Ok(_) if text.len() == text.capacity() => {
                    return Err(HeaderError("more headers than a stream has"));
                }
                Ok(_) if self.0.total_in() - start == block.len() as u64 => return Ok(text),
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    let known = self.0.set_dictionary(&DICTIONARY);
                    known
                        .map_err(|_| HeaderError("headers with another dictionary than SPDY's"))?;
                }
                Err(_) => return Err(HeaderError("headers that zlib cannot read")),
            }
        }
    }
}

fn pairs(mut text: &[u8]) -> Option<Vec<(String, String)>> {
    let count = length(&mut text)?;
    (0..count)
        .map(|_| Some((word(&mut text)?, word(&mut text)?)))
        .collect()
}

fn length(text: &mut &[u8]) -> Option<usize> {
    let (length, rest) = text.split_first_chunk()?;
    *text = rest;
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

fn word(text: &mut &[u8]) -> Option<String> {
    let (word, rest) = {
        let length = length(text)?;
        text.split_at_checked(length)?
    };
    *text = rest;
    Some(String::from_utf8_lossy(word).into_owned())
}

/// A block without headers, all that this side ever sends: as it is, in a block of zlib's that is not compressed, and an
/// empty one, at which Go's reader hands out what it has. A stream begins with two bytes that say what it is.
pub(super) fn nothing(first: bool) -> &'static [u8] {
    const BLOCK: &[u8] = &[
        0x78, 0x01, 0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff,
    ];
    if first { BLOCK } else { &BLOCK[2..] }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;

    /// A client's side.
    struct Deflate(Compress);

    impl Deflate {
        fn new(dictionary: Option<&[u8]>) -> Self {
            let mut compress = Compress::new(Compression::default(), true);
            if let Some(dictionary) = dictionary {
                compress.set_dictionary(dictionary).unwrap();
            }
            Self(compress)
        }

        fn block(&mut self, text: &[u8]) -> Vec<u8> {
            let mut block = Vec::with_capacity(64 + 2 * text.len());
            self.0
                .compress_vec(text, &mut block, FlushCompress::Sync)
                .unwrap();
            block
        }
    }

    fn text(pairs: &[(&str, &str)]) -> Vec<u8> {
        let number = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
        let mut text = number(pairs.len()).to_vec();
        for word in pairs.iter().flat_map(|(name, value)| [name, value]) {
            text.extend_from_slice(&number(word.len()));
            text.extend_from_slice(word.as_bytes());
        }
        text
    }

    #[test]
    fn the_dictionary_is_that_of_spdy_3() {
        let (mut low, mut high) = (1_u32, 0_u32);
        for byte in DICTIONARY.iter() {
            low = (low + u32::from(*byte)) % 65_521;
            high = (high + low) % 65_521;
        }
        // By which every client's first block names it.
        assert_eq!((DICTIONARY.len(), high << 16 | low), (1423, 0xe3c6_a7c2));
    }

    #[test]
    fn one_block_after_the_other_is_read() {
        let (mut deflate, mut inflate) = (Deflate::new(Some(&DICTIONARY)), Inflate::new());
        for request in ["0", "1", "1"] {
            let sent = [
                ("streamtype", "error"),
                ("port", "80"),
                ("requestid", request),
            ];
            let block = deflate.block(&text(&sent));
            let read = inflate.read(&block).unwrap();
            for (name, value) in sent {
                assert_eq!(read.get(name), Some(value));
            }
            assert_eq!(read.get("host"), None);
        }
    }

    #[test]
    fn a_client_without_the_dictionary_is_read_as_well() {
        let block = Deflate::new(None).block(&text(&[("port", "80")]));
        let read = Inflate::new().read(&block).unwrap();
        assert_eq!(read.get("port"), Some("80"));
    }

    #[test]
    fn what_is_no_block_of_headers_is_refused() {
        let number = u32::MAX.to_be_bytes();
        let many = vec![b'a'; MOST];
        for (what, block) in [
            ("no zlib", b"headers".to_vec()),
            (
                "another dictionary",
                Deflate::new(Some(b"words")).block(b"\0\0\0\0"),
            ),
            ("nothing", Deflate::new(None).block(b"")),
            ("a count alone", Deflate::new(None).block(&number)),
            (
                "a word too short",
                Deflate::new(None).block(b"\0\0\0\x01\0\0\0\x09port"),
            ),
            ("a bomb", Deflate::new(None).block(&many)),
        ] {
            assert!(Inflate::new().read(&block).is_err(), "{what}");
        }
    }

    #[test]
    fn a_reply_has_no_headers_and_the_next_one_neither() {
        let mut inflate = Inflate::new();
        let none = Headers(Vec::new());
        assert_eq!(inflate.read(nothing(true)).unwrap(), none);
        assert_eq!(inflate.read(nothing(false)).unwrap(), none);
    }
}
