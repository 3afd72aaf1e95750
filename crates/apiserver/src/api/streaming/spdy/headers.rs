//! Headers of SPDY streams: name-value pairs, compressed with zlib and a predefined dictionary. All header blocks of one
//! direction are one zlib stream.

use std::sync::LazyLock;

use flate2::{Decompress, FlushDecompress, Status};

/// Words of the dictionary (SPDY/3.1, section 2.6.10.1), each of which is preceded by its length.
const DICTIONARY_WORDS: [&str; 65] = [
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
/// End of the dictionary, after the words.
const DICTIONARY_TAIL: &str = concat!(
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
    for word in DICTIONARY_WORDS {
        let length = u32::try_from(word.len()).expect("words are short");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(word.as_bytes());
    }
    bytes.extend_from_slice(DICTIONARY_TAIL.as_bytes());
    bytes
});

/// Maximum length of a decompressed header block in bytes. Kubernetes' streams have three short headers.
const MAX_HEADER_BLOCK_LEN: usize = 16 << 10;

/// Error in a header block.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct HeaderError(&'static str);

/// Headers of a stream. Names are in lower case.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::api) struct Headers(Vec<(String, String)>);

impl Headers {
    pub(in crate::api) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Decompressor of all header blocks of a client.
pub(super) struct HeaderDecoder(Decompress);

impl HeaderDecoder {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    pub(super) fn decode(&mut self, block: &[u8]) -> Result<Headers, HeaderError> {
        let pairs = parse_pairs(&self.decompress(block)?);
        let pairs = pairs.ok_or(HeaderError("the header block is truncated"))?;
        Ok(Headers(pairs))
    }

    fn decompress(&mut self, block: &[u8]) -> Result<Vec<u8>, HeaderError> {
        let mut text = Vec::with_capacity(MAX_HEADER_BLOCK_LEN);
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
                    return Err(HeaderError("the header block is too long"));
                }
                Ok(_) if self.0.total_in() - start == block.len() as u64 => return Ok(text),
                Ok(_) => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&DICTIONARY).map_err(|_| {
                        HeaderError("the header block has another dictionary than SPDY's")
                    })?;
                }
                Err(_) => return Err(HeaderError("the header block is not valid zlib data")),
            }
        }
    }
}

fn parse_pairs(mut text: &[u8]) -> Option<Vec<(String, String)>> {
    let count = take_length(&mut text)?;
    (0..count)
        .map(|_| Some((take_string(&mut text)?, take_string(&mut text)?)))
        .collect()
}

fn take_length(text: &mut &[u8]) -> Option<usize> {
    let (length, rest) = text.split_first_chunk()?;
    *text = rest;
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

fn take_string(text: &mut &[u8]) -> Option<String> {
    let length = take_length(text)?;
    let (string, rest) = text.split_at_checked(length)?;
    *text = rest;
    Some(String::from_utf8_lossy(string).into_owned())
}

/// Position of a header block in the zlib stream of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockPosition {
    First,
    Later,
}

/// First header block of this server, which sends no headers. After the two bytes of the zlib header it contains a stored
/// block with a count of 0, and an empty stored block, at which Go's reader returns the data that it has decompressed.
const FIRST_EMPTY_HEADER_BLOCK: &[u8] = &[
    0x78, 0x01, 0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff,
];

/// Returns a header block without headers; only the first one of a connection starts with the zlib header.
pub(super) fn empty_header_block(position: BlockPosition) -> &'static [u8] {
    match position {
        BlockPosition::First => FIRST_EMPTY_HEADER_BLOCK,
        BlockPosition::Later => &FIRST_EMPTY_HEADER_BLOCK[2..],
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;

    /// Compressor of a client.
    struct HeaderEncoder(Compress);

    impl HeaderEncoder {
        fn new(dictionary: Option<&[u8]>) -> Self {
            let mut compress = Compress::new(Compression::default(), true);
            if let Some(dictionary) = dictionary {
                compress.set_dictionary(dictionary).unwrap();
            }
            Self(compress)
        }

        fn encode(&mut self, text: &[u8]) -> Vec<u8> {
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
        for string in pairs.iter().flat_map(|(name, value)| [name, value]) {
            text.extend_from_slice(&number(string.len()));
            text.extend_from_slice(string.as_bytes());
        }
        text
    }

    #[test]
    fn dictionary_has_the_checksum_of_spdy_3() {
        let (mut low, mut high) = (1_u32, 0_u32);
        for byte in DICTIONARY.iter() {
            low = (low + u32::from(*byte)) % 65_521;
            high = (high + low) % 65_521;
        }
        // The Adler-32 checksum in the first header block of every client identifies the dictionary.
        assert_eq!((DICTIONARY.len(), high << 16 | low), (1423, 0xe3c6_a7c2));
    }

    #[test]
    fn successive_header_blocks_are_decoded() {
        let mut encoder = HeaderEncoder::new(Some(&DICTIONARY));
        let mut decoder = HeaderDecoder::new();
        for request in ["0", "1", "1"] {
            let sent = [
                ("streamtype", "error"),
                ("port", "80"),
                ("requestid", request),
            ];
            let block = encoder.encode(&text(&sent));
            let headers = decoder.decode(&block).unwrap();
            for (name, value) in sent {
                assert_eq!(headers.get(name), Some(value));
            }
            assert_eq!(headers.get("host"), None);
        }
    }

    #[test]
    fn header_block_without_a_dictionary_is_decoded() {
        let block = HeaderEncoder::new(None).encode(&text(&[("port", "80")]));
        let headers = HeaderDecoder::new().decode(&block).unwrap();
        assert_eq!(headers.get("port"), Some("80"));
    }

    #[test]
    fn malformed_header_block_is_rejected() {
        let encode = |text: &[u8]| HeaderEncoder::new(None).encode(text);
        for (fault, block) in [
            ("not zlib data", b"headers".to_vec()),
            (
                "another dictionary",
                HeaderEncoder::new(Some(b"words")).encode(b"\0\0\0\0"),
            ),
            ("empty", encode(b"")),
            ("count without pairs", encode(&u32::MAX.to_be_bytes())),
            ("truncated string", encode(b"\0\0\0\x01\0\0\0\x09port")),
            ("too long", encode(&vec![b'a'; MAX_HEADER_BLOCK_LEN])),
        ] {
            assert!(HeaderDecoder::new().decode(&block).is_err(), "{fault}");
        }
    }

    #[test]
    fn empty_header_blocks_of_this_server_are_decoded() {
        let mut decoder = HeaderDecoder::new();
        for position in [BlockPosition::First, BlockPosition::Later] {
            let headers = decoder.decode(empty_header_block(position)).unwrap();
            assert_eq!(headers, Headers(Vec::new()), "{position:?}");
        }
    }
}
