//! Accepts connections within [`Limits`] and ends in order.
//!
//! The order of an end: unready, go on accepting for [`Stop::delay`], stop listening, let requests in hand finish
//! within [`Stop::grace`], drop the rest. [`Stop::abort`] cuts every step short.
//!
//! At the limit of connections the one that waited longest for its client's next request is closed. Where every connection
//! has a request to answer, a reserved capacity answers health requests, and `503` to others: a client cannot keep the
//! kubelet's probes from being answered.

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
mod observed;

use admission::{Pool, Slot};
use connection::{Class, Connection};

use crate::{Ended, Limits, Readiness, Stop};

/// Pause after a failed accept.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The client's address, in every request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A service could not listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct ServeError {
    address: SocketAddr,
    source: io::Error,
}

/// A listening socket, not serving yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: Limits,
}

impl Server {
    /// Listens on `address`.
    ///
    /// # Errors
    /// When the address is taken or not allowed.
    pub async fn bind(address: SocketAddr, limits: Limits) -> Result<Self, ServeError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ServeError { address, source })?;
        Ok(Self { listener, limits })
    }

    /// Where it listens: the port is known even if 0 was asked for.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves `router` until told to stop. Opens `ready` when the first connection can be accepted.
    pub async fn serve(self, router: Router, ready: &Readiness, stop: &Stop) -> Ended {
        let Self { listener, limits } = self;
        let connections = Connections::new(router, limits);
        ready.open();
        tokio::select! {
            () = connections.accept(&listener) => {}
            () = stop.drain.cancelled() => {}
            () = stop.abort.cancelled() => {}
        }
        ready.close();
        tracing::info!("unready");
        tokio::select! {
            () = connections.accept(&listener) => {}
            () = sleep(stop.delay) => {}
            () = stop.abort.cancelled() => {}
        }
        drop(listener);
        connections.end(stop).await
    }
}

struct Connections {
    router: Router,
    limits: Limits,
    /// Capacity for connections.
    slots: Pool,
    /// Capacity beyond it, for health requests alone.
    reserve: Pool,
    open: TaskTracker,
    finish: CancellationToken,
    drop: CancellationToken,
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
            drop: CancellationToken::new(),
        }
    }

    /// Accepts without end: a failed accept is the client's or the descriptor table's trouble, and passes.
    async fn accept(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let Some((slot, class)) = self.admit().await else {
                        return; // The pools are never closed.
                    };
                    self.spawn(stream, peer, slot, class);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    // Most likely there are no descriptors left: a connection that waits for its client has one.
                    if !self.slots.close_oldest() && !self.reserve.close_oldest() {
                        sleep(ACCEPT_RETRY).await;
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn admit(&self) -> Option<(Slot, Class)> {
        match self.slots.admit().await {
            Some(slot) => Some((slot, Class::Any)),
            None => Some((self.reserve.wait().await?, Class::Health)),
        }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, slot: Slot, class: Class) {
        let connection = Connection {
            stream,
            peer,
            slot,
            class,
            limits: self.limits.of(class == Class::Health),
        };
        let (finish, dropped) = (self.finish.clone(), self.drop.clone());
        self.open
            .spawn(connection.serve(self.router.clone(), finish, dropped));
    }

    async fn end(self, stop: &Stop) -> Ended {
        self.open.close();
        self.finish.cancel();
        let ended = tokio::select! {
            biased;
            () = stop.abort.cancelled() => Ended::Aborted { open: self.open.len() },
            drained = timeout(stop.grace, self.open.wait()) => match drained {
                Ok(()) => Ended::Drained,
                Err(_) => Ended::DeadlinePassed { open: self.open.len() },
            },
        };
        self.drop.cancel();
        self.open.wait().await;
        ended
    }
}
