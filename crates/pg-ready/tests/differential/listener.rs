//! Listeners that are not PostgreSQL servers, or malicious ones.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

/// Code of `SSLRequest`, in the position of a protocol version.
const SSL_REQUEST_CODE: [u8; 4] = [0x04, 0xd2, 0x16, 0x2f];

/// Behavior of a listener for each connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Script {
    /// Never writes.
    Silent,
    /// Closes the connection immediately.
    Close,
    /// Writes these bytes without reading, and closes the connection.
    Write(&'static [u8]),
    /// Rejects TLS if it is requested, replies to the startup packet with these bytes, and closes the connection.
    RejectTlsThen(&'static [u8]),
    /// The same with one packet for each byte.
    RejectTlsThenBytewise(&'static [u8]),
}

/// A listener with its own thread.
pub(crate) struct Listener {
    /// Port on 127.0.0.1.
    pub(crate) port: u16,
}

impl Listener {
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || run_script(script, stream));
            }
        });
        Self { port }
    }
}

/// Serves one connection; returns `None` if the client closed it early.
fn run_script(script: Script, mut stream: TcpStream) -> Option<()> {
    match script {
        Script::Close => {}
        Script::Silent => drop(stream.read_to_end(&mut Vec::new())),
        Script::Write(bytes) => {
            stream.write_all(bytes).ok()?;
            close(&mut stream)?;
        }
        Script::RejectTlsThen(bytes) => {
            read_startup_packet(&mut stream)?;
            stream.write_all(bytes).ok()?;
            close(&mut stream)?;
        }
        Script::RejectTlsThenBytewise(bytes) => {
            stream.set_nodelay(true).ok()?;
            read_startup_packet(&mut stream)?;
            for byte in bytes {
                stream.write_all(&[*byte]).ok()?;
            }
            close(&mut stream)?;
        }
    }
    Some(())
}

fn read_startup_packet(stream: &mut TcpStream) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut rest).ok()?;
        if rest != SSL_REQUEST_CODE {
            return Some(());
        }
        stream.write_all(b"N").ok()?;
    }
}

/// Closes the connection after the client did; with unread bytes it would be reset, which could discard written bytes.
fn close(stream: &mut TcpStream) -> Option<()> {
    stream.shutdown(Shutdown::Write).ok()?;
    stream.read_to_end(&mut Vec::new()).ok()?;
    Some(())
}
