//! Accepts connections within [`Limits`] and shuts down gracefully.
//!
//! Steps of a shutdown: become unready, accept connections for [`Shutdown::delay`], close the listener, complete open
//! requests within [`Shutdown::grace`], close the remaining connections. [`Shutdown::abort`] skips the remaining steps.
//!
//! At the connection limit the connection that has waited longest for its client's next request is closed. While every
//! connection has a request, a reserved capacity serves health requests, and `503` for others: no client can block the
//! kubelet's probes.

use std::{io, net::SocketAddr, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::{
    catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer, timeout::RequestBodyTimeoutLayer,
};

mod activity;
mod admission;
mod connection;
mod framing;
mod observed;

use admission::{Pool, Slot};
use connection::{Class, Connection};

use crate::{Limits, Readiness, Shutdown, ShutdownOutcome};

/// Delay before the next attempt after a failed accept.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Address of the client, in the extensions of every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Error of a service that cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ServeError {
    address: SocketAddr,
    source: io::Error,
}

/// Listening socket that does not accept connections yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: Limits,
}

impl Server {
    /// Listens on `address`.
    ///
    /// # Errors
    /// The address is in use, unknown or not permitted.
    pub async fn bind(address: SocketAddr, limits: Limits) -> Result<Self, ServeError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ServeError { address, source })?;
        Ok(Self { listener, limits })
    }

    /// Returns the address, with the port that the kernel chose for port 0.
    ///
    /// # Errors
    /// The kernel does not report the address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves `router` until the shutdown. Opens `ready` when the first connection can be accepted.
    pub async fn serve(
        self,
        router: Router,
        ready: &Readiness,
        shutdown: &Shutdown,
    ) -> ShutdownOutcome {
        let Self { listener, limits } = self;
        let connections = Connections::new(router, limits);
        ready.open();
        let unready = async {
            tokio::select! {
                () = shutdown.drain.cancelled() => {}
                () = shutdown.abort.cancelled() => {}
            }
            ready.close();
            tracing::info!("unready");
            tokio::select! {
                () = sleep(shutdown.delay) => {}
                () = shutdown.abort.cancelled() => {}
            }
        };
        tokio::select! {
            () = connections.accept_all(&listener) => {}
            () = unready => {}
        }
        drop(listener);
        connections.drain(shutdown).await
    }
}

/// Accepts one connection. A failed accept is logged and retried: its cause is the client, or a lack of file descriptors.
/// `close_one` closes another connection and returns `true`, or returns `false` if it cannot; without a descriptor that it
/// freed, the next attempt waits.
pub async fn accept(
    listener: &TcpListener,
    close_one: impl Fn() -> bool,
) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(connection) => return connection,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                if !close_one() {
                    sleep(ACCEPT_RETRY).await;
                }
                tokio::task::yield_now().await;
            }
        }
    }
}

struct Connections {
    router: Router,
    limits: Limits,
    /// Capacity for requests of any kind.
    slots: Pool,
    /// Further capacity, for health requests only.
    reserve: Pool,
    open: TaskTracker,
    /// Lets each connection complete its current request.
    finish: CancellationToken,
    /// Closes each connection.
    close: CancellationToken,
}

impl Connections {
    fn new(router: Router, limits: Limits) -> Self {
        let router = router
            .layer(RequestBodyTimeoutLayer::new(limits.body_timeout))
            .layer(RequestBodyLimitLayer::new(limits.body_bytes))
            .layer(CatchPanicLayer::new());
        Self {
            router,
            limits,
            slots: Pool::new(limits.connections),
            reserve: Pool::new(limits.reserved_connections),
            open: TaskTracker::new(),
            finish: CancellationToken::new(),
            close: CancellationToken::new(),
        }
    }

    async fn accept_all(&self, listener: &TcpListener) {
        let close_one = || self.slots.close_oldest() || self.reserve.close_oldest();
        loop {
            let (stream, peer) = accept(listener, close_one).await;
            let Some((slot, class)) = self.admit().await else {
                return; // The pools are never closed.
            };
            self.spawn(stream, peer, slot, class);
        }
    }

    async fn admit(&self) -> Option<(Slot, Class)> {
        match self.slots.admit().await {
            Some(slot) => Some((slot, Class::Any)),
            None => Some((self.reserve.wait_for_slot().await?, Class::Health)),
        }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, slot: Slot, class: Class) {
        let connection = Connection {
            stream,
            peer,
            slot,
            class,
            limits: match class {
                Class::Any => self.limits,
                Class::Health => self.limits.for_reserved(),
            },
        };
        let (finish, close) = (self.finish.clone(), self.close.clone());
        self.open
            .spawn(connection.serve(self.router.clone(), finish, close));
    }

    async fn drain(self, shutdown: &Shutdown) -> ShutdownOutcome {
        self.open.close();
        self.finish.cancel();
        let outcome = tokio::select! {
            biased;
            () = shutdown.abort.cancelled() => ShutdownOutcome::Aborted { open: self.open.len() },
            drained = timeout(shutdown.grace, self.open.wait()) => match drained {
                Ok(()) => ShutdownOutcome::Drained,
                Err(_) => ShutdownOutcome::DeadlinePassed { open: self.open.len() },
            },
        };
        self.close.cancel();
        self.open.wait().await;
        outcome
    }
}
