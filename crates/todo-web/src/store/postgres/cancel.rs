//! Cancels statements behind a pooler.
//!
//! PgBouncer drops a cancel request whose client closes the connection before the request is forwarded, which
//! tokio-postgres does. libpq waits for the end of the stream, as this module does.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{CancelToken, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Size of a cancel request in bytes.
const REQUEST_SIZE: usize = 16;

/// Sends a cancel request to the hosts of a configuration. Only the host of the token's connection knows its key.
pub(super) async fn cancel(
    token: CancelToken,
    config: &Config,
    tls: MakeRustlsConnect,
) -> io::Result<()> {
    if config.get_ssl_mode() == SslMode::Require {
        // The request is encrypted, which only tokio-postgres can do.
        return token.cancel_query(tls).await.map_err(io::Error::other);
    }
    let request = encode(token).await?;
    for (index, host) in config.get_hosts().iter().enumerate() {
        let ports = config.get_ports();
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        // Another host may be the right one.
        let _ = match host {
            Host::Tcp(host) => {
                send(TcpStream::connect((host.as_str(), port)).await, &request).await
            }
            Host::Unix(dir) => {
                let path = dir.join(format!(".s.PGSQL.{port}"));
                send(UnixStream::connect(path).await, &request).await
            }
        };
    }
    Ok(())
}

/// Returns the bytes of the request, which only tokio-postgres can write.
async fn encode(token: CancelToken) -> io::Result<[u8; REQUEST_SIZE]> {
    let (near, mut far) = duplex(REQUEST_SIZE);
    let mut request = [0; REQUEST_SIZE];
    let (written, read) = tokio::join!(
        token.cancel_query_raw(near, NoTls),
        far.read_exact(&mut request)
    );
    written.map_err(io::Error::other)?;
    read?;
    Ok(request)
}

async fn send<S>(stream: io::Result<S>, request: &[u8]) -> io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut stream = stream?;
    stream.write_all(request).await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}
