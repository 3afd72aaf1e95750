//! A client of a SPDY connection, for tests.

use flate2::{Compress, Compression, FlushCompress};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::frames::{self, Frame};

pub(in crate::api) struct Client {
    connection: DuplexStream,
    compress: Compress,
}

impl Client {
    /// A client, and the other end of its connection.
    pub(in crate::api) fn new() -> (Self, DuplexStream) {
        let (connection, theirs) = tokio::io::duplex(1 << 20);
        let client = Self {
            connection,
            compress: Compress::new(Compression::default(), true),
        };
        (client, theirs)
    }

    pub(in crate::api) async fn open(&mut self, stream: u32, headers: &[(&str, &str)]) {
        let number = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
        let mut text = number(headers.len()).to_vec();
        for word in headers.iter().flat_map(|(name, value)| [name, value]) {
            text.extend_from_slice(&number(word.len()));
            text.extend_from_slice(word.as_bytes());
        }
        let mut block = Vec::with_capacity(1024);
        let all = FlushCompress::Sync;
        self.compress.compress_vec(&text, &mut block, all).unwrap();
        let mut frame = b"\x80\x03\0\x01\0".to_vec();
        frame.extend_from_slice(&number(10 + block.len())[1..]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(&[0; 6]);
        frame.extend_from_slice(&block);
        self.send(&frame).await;
    }

    pub(in crate::api) async fn send(&mut self, bytes: &[u8]) {
        self.connection.write_all(bytes).await.unwrap();
    }

    pub(in crate::api) async fn say(&mut self, stream: u32, last: bool, text: &str) {
        let frame = frames::data(stream, last, text.as_bytes());
        self.send(&frame).await;
    }

    /// The next frame, and the text in it; none once the connection has ended.
    pub(in crate::api) async fn next(&mut self) -> Option<(Frame, String)> {
        let frame = frames::read(&mut self.connection).await.unwrap()?;
        let mut text = String::new();
        if let Frame::Data { length, .. } = frame {
            let mut part = (&mut self.connection).take(length as u64);
            part.read_to_string(&mut text).await.unwrap();
        }
        Some((frame, text))
    }

    /// What is said on a stream until it ends, whatever comes between.
    pub(in crate::api) async fn hear(&mut self, wanted: u32) -> String {
        let mut heard = String::new();
        loop {
            let (frame, text) = self
                .next()
                .await
                .expect("the stream ends before the connection");
            if let Frame::Data { stream, last, .. } = frame
                && stream == wanted
            {
                heard.push_str(&text);
                if last {
                    return heard;
                }
            }
        }
    }

    pub(in crate::api) async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let (frame, _) = self.next().await.expect("it comes before the end");
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// Whether the other side has ended it, and said nothing more.
    pub(in crate::api) async fn has_ended(&mut self) -> bool {
        self.next().await.is_none()
    }
}
