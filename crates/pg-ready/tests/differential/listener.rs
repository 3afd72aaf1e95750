//! Listeners that are no PostgreSQL servers, or hostile ones.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

/// How a listener treats whoever connects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Script {
    /// Never says a word.
    Silent,
    /// Closes at once.
    CloseAtOnce,
    /// Says this whatever it hears, and closes.
    Say(&'static [u8]),
    /// Refuses TLS where it is asked for; then answers the startup packet with this and closes.
    NoTlsThen(&'static [u8]),
    /// The same, one byte a packet.
    NoTlsThenSlowly(&'static [u8]),
}

/// A listener in a thread of its own.
pub(crate) struct Listener {
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
}

impl Listener {
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || play(script, stream));
            }
        });
        Self { port }
    }
}

/// A caller may hang up at any time; that ends the play.
fn play(script: Script, mut stream: TcpStream) -> Option<()> {
    match script {
        Script::CloseAtOnce => {}
        Script::Silent => drop(stream.read_to_end(&mut Vec::new())),
        Script::Say(bytes) => {
            stream.write_all(bytes).ok()?;
            hang_up(&mut stream)?;
        }
        Script::NoTlsThen(bytes) => {
            answer_startup(&mut stream)?;
            stream.write_all(bytes).ok()?;
            hang_up(&mut stream)?;
        }
        Script::NoTlsThenSlowly(bytes) => {
            stream.set_nodelay(true).ok()?;
            answer_startup(&mut stream)?;
            for byte in bytes {
                stream.write_all(&[*byte]).ok()?;
            }
            hang_up(&mut stream)?;
        }
    }
    Some(())
}

fn answer_startup(stream: &mut TcpStream) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut rest).ok()?;
        if rest != pg_ready::protocol::ssl_request()[4..] {
            return Some(());
        }
        stream.write_all(b"N").ok()?;
    }
}

/// Closing with unread bytes would reset the connection and could lose what was said.
fn hang_up(stream: &mut TcpStream) -> Option<()> {
    stream.shutdown(Shutdown::Write).ok()?;
    stream.read_to_end(&mut Vec::new()).ok()?;
    Some(())
}
