//! SPDY client for tests.

use flate2::{Compress, Compression, FlushCompress};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::frames::{self, Fin, Frame};

pub(in crate::api) struct SpdyClient {
    connection: DuplexStream,
    compress: Compress,
}

impl SpdyClient {
    /// Returns a client and the server's end of its connection.
    pub(in crate::api) fn new() -> (Self, DuplexStream) {
        let (connection, server_side) = tokio::io::duplex(1 << 20);
        let client = Self {
            connection,
            compress: Compress::new(Compression::default(), true),
        };
        (client, server_side)
    }

    pub(in crate::api) async fn open(&mut self, stream: u32, headers: &[(&str, &str)]) {
        let number = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
        let mut text = number(headers.len()).to_vec();
        for string in headers.iter().flat_map(|(name, value)| [name, value]) {
            text.extend_from_slice(&number(string.len()));
            text.extend_from_slice(string.as_bytes());
        }
        let mut block = Vec::with_capacity(1024);
        let flush = FlushCompress::Sync;
        self.compress
            .compress_vec(&text, &mut block, flush)
            .unwrap();
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

    pub(in crate::api) async fn write(&mut self, stream: u32, text: &str) {
        let frame = frames::data(stream, Fin::No, text.as_bytes());
        self.send(&frame).await;
    }

    /// Writes the last data of a stream.
    pub(in crate::api) async fn finish(&mut self, stream: u32, text: &str) {
        let frame = frames::data(stream, Fin::Yes, text.as_bytes());
        self.send(&frame).await;
    }

    /// Returns the next frame and its data; `None` once the server has closed the connection.
    pub(in crate::api) async fn next(&mut self) -> Option<(Frame, String)> {
        let frame = frames::read(&mut self.connection).await.unwrap()?;
        let mut text = String::new();
        if let Frame::Data { length, .. } = frame {
            let mut data = (&mut self.connection).take(length as u64);
            data.read_to_string(&mut text).await.unwrap();
        }
        Some((frame, text))
    }

    /// Returns the data of a stream until the server closes it. Frames of other streams are skipped.
    pub(in crate::api) async fn read_to_end(&mut self, wanted: u32) -> String {
        let mut received = String::new();
        loop {
            let (frame, text) = self
                .next()
                .await
                .expect("the stream is closed before the connection");
            if let Frame::Data { stream, fin, .. } = frame
                && stream == wanted
            {
                received.push_str(&text);
                if fin == Fin::Yes {
                    return received;
                }
            }
        }
    }

    /// Skips frames until one matches.
    pub(in crate::api) async fn wait_for(&mut self, is_wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let (frame, _) = self
                .next()
                .await
                .expect("the frame is received before the connection closes");
            if is_wanted(&frame) {
                return frame;
            }
        }
    }
}
