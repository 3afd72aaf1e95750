//! A connection that is ready: the peer has sent its settings.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::dial;
use crate::outcome::Reason;

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

/// Connects once. The error is why there is no connection that speaks HTTP/2.
pub(super) async fn attempt(host: &str, port: u16, deadline: Instant) -> Result<Channel, Reason> {
    let connection = dial::dial(host, port.into(), deadline).await;
    let connection = connection.map_err(|error| error.reason)?;
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
    let task = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a probe's gRPC connection ended");
        }
    });
    Ok(Channel {
        sender,
        _connection: AbortOnDropHandle::new(task),
    })
}
