//! Connections to gRPC servers. A connection is ready once the peer has sent its HTTP/2 settings.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::dial::{self, Connection};
use crate::outcome::Reason;
use crate::tls::Tls;

/// Delay before the second attempt of gRPC's connection back-off.
pub(super) const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
/// Factor by which each later delay of gRPC's connection back-off grows.
pub(super) const BACKOFF_FACTOR: f64 = 1.6;

/// Offset of the type in an HTTP/2 frame.
const FRAME_TYPE_OFFSET: usize = 3;
/// Type of the frame that every HTTP/2 server sends first.
const SETTINGS_FRAME: u8 = 4;

/// A connection and the task that drives it.
pub(super) struct Channel {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) _connection: AbortOnDropHandle<()>,
}

/// Reason of a failed connection, and the error text of TLS.
type ConnectError = (Reason, Option<String>);

/// Connects once. Fails if the peer does not speak HTTP/2.
pub(super) async fn attempt(
    tls: Option<&Tls>,
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<Channel, ConnectError> {
    let connection = dial::dial(host, port.into(), deadline).await;
    let connection = connection.map_err(|error| (error.reason, None))?;
    match tls {
        Some(tls) => handshake_over_tls(tls, host, connection).await,
        None => handshake(connection).await.map_err(|reason| (reason, None)),
    }
}

/// Negotiates HTTP/2 by ALPN.
async fn handshake_over_tls(
    tls: &Tls,
    host: &str,
    connection: Connection,
) -> Result<Channel, ConnectError> {
    let tls_error = |text: String| (Reason::Tls, Some(text));
    let name = tls
        .server_name(host)
        .map_err(|error| tls_error(error.to_string()))?;
    let mut config = (*tls.config).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, connection);
    let stream = connecting
        .await
        .map_err(|error| tls_error(format!("tls: {error}")))?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(tls_error(
            "tls: the server did not select HTTP/2".to_owned(),
        ));
    }
    let (sender, connection) = h2::client::handshake(stream)
        .await
        .map_err(|_| (Reason::Protocol, None))?;
    Ok(spawn_channel(sender, connection))
}

async fn handshake(connection: Connection) -> Result<Channel, Reason> {
    let first_bytes = connection.first_bytes();
    let (sender, mut connection) = h2::client::handshake(connection)
        .await
        .map_err(|_| Reason::Protocol)?;
    // The handshake completes without a frame from the server: drive the connection until the first one arrives.
    let has_settings = poll_fn(|context| {
        let polled = std::pin::Pin::new(&mut connection).poll(context);
        match first_bytes.to_vec().get(FRAME_TYPE_OFFSET) {
            Some(frame) if polled.is_pending() => std::task::Poll::Ready(*frame == SETTINGS_FRAME),
            _ => polled.map(|_closed| false),
        }
    });
    if !has_settings.await {
        return Err(Reason::Protocol);
    }
    Ok(spawn_channel(sender, connection))
}

fn spawn_channel<T>(sender: SendRequest<Bytes>, connection: h2::client::Connection<T>) -> Channel
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "gRPC connection of a probe failed");
        }
    });
    Channel {
        sender,
        _connection: AbortOnDropHandle::new(task),
    }
}
