//! A connection that is ready: the peer has sent its settings.

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

/// The pause before the second attempt, and what each later one is longer: gRPC's connection back-off.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const FACTOR: f64 = 1.6;

/// The frame type that every HTTP/2 server sends first, and where it stands in the frame.
const SETTINGS: (usize, u8) = (3, 4);

/// A connection and the task that moves it on.
pub(super) struct Channel {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) _connection: AbortOnDropHandle<()>,
}

/// Why there is no connection, and what TLS said of it.
type Refused = (Reason, Option<String>);

/// Connects once. The error is why there is no connection that speaks HTTP/2.
pub(super) async fn attempt(
    tls: Option<&Tls>,
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<Channel, Refused> {
    let connection = dial::dial(host, port.into(), deadline).await;
    let connection = connection.map_err(|error| (error.reason, None))?;
    match tls {
        Some(tls) => over_tls(tls, host, connection).await,
        None => plain(connection).await.map_err(|reason| (reason, None)),
    }
}

/// Who agrees to HTTP/2 in the handshake speaks it.
async fn over_tls(tls: &Tls, host: &str, connection: Connection) -> Result<Channel, Refused> {
    let refused = |why: String| (Reason::Tls, Some(why));
    let name = tls.name(host).map_err(|error| refused(error.to_string()))?;
    let mut config = (*tls.config).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, connection);
    let stream = connecting
        .await
        .map_err(|error| refused(format!("tls: {error}")))?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(refused(
            "tls: the server does not agree to HTTP/2".to_owned(),
        ));
    }
    let (sender, connection) = h2::client::handshake(stream)
        .await
        .map_err(|_| (Reason::Protocol, None))?;
    Ok(channel(sender, connection))
}

async fn plain(connection: Connection) -> Result<Channel, Reason> {
    let head = connection.head();
    let (sender, mut connection) = h2::client::handshake(connection)
        .await
        .map_err(|_| Reason::Protocol)?;
    // The client's half is done without a word from the server: it is moved on until the server has spoken.
    let speaks = poll_fn(|context| {
        let polled = std::pin::Pin::new(&mut connection).poll(context);
        let first = head.bytes();
        match first.get(SETTINGS.0) {
            Some(kind) if polled.is_pending() => std::task::Poll::Ready(*kind == SETTINGS.1),
            _ => polled.map(|_ended| false),
        }
    });
    if !speaks.await {
        return Err(Reason::Protocol);
    }
    Ok(channel(sender, connection))
}

fn channel<T>(sender: SendRequest<Bytes>, connection: h2::client::Connection<T>) -> Channel
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a probe's gRPC connection ended");
        }
    });
    Channel {
        sender,
        _connection: AbortOnDropHandle::new(task),
    }
}
