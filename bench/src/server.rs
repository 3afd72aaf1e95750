//! The probed server, in a separate process, which gives every request the same response.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOk";

/// A server process; dropping it kills the process.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(kind: &str) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(kind)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().context("the server has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self {
            process,
            address: line.trim().parse()?,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn serve(grpc: bool) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            if grpc {
                let _ = crate::grpc::serve(stream).await;
                return;
            }
            let mut request = [0; 1024];
            if matches!(stream.read(&mut request).await, Ok(read) if read > 0) {
                let _ = stream.write_all(RESPONSE).await;
            }
        });
    }
}
