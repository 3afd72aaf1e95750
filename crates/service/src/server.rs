//! Accepts connections within [`Limits`] and ends in order.
//!
//! The order of an end: unready, go on accepting for [`Stop::delay`], stop listening, let requests in hand finish
//! within [`Stop::grace`], drop the rest. [`Stop::abort`] cuts every step short.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use tower_http::{
    catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer, timeout::RequestBodyTimeoutLayer,
};

use crate::{Ended, Limits, Readiness, Stop};

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
    slots: Arc<Semaphore>,
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
            slots: Arc::new(Semaphore::new(limits.connections)),
            open: TaskTracker::new(),
            finish: CancellationToken::new(),
            drop: CancellationToken::new(),
        }
    }

    /// Accepts for ever: a failed accept is the client's or the descriptor table's trouble, and passes.
    async fn accept(&self, listener: &TcpListener) {
        loop {
            let Ok(slot) = self.slots.clone().acquire_owned().await else {
                return; // The semaphore is never closed.
            };
            match listener.accept().await {
                Ok((stream, peer)) => self.spawn(stream, peer, slot),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        let router = self.router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            router.clone().oneshot(request)
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.write_timeout));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(self.limits.header_bytes)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let (finish, dropped) = (self.finish.clone(), self.drop.clone());
        self.open.spawn(async move {
            let _slot = slot;
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = dropped.cancelled() => return,
                () = finish.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        ended = connection => ended,
                        () = dropped.cancelled() => return,
                    }
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
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
