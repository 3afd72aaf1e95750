//! Connections passed on to pods.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Proxy, Target};

/// A pod on the same machine answers sooner, or not at all.
const CONNECT: Duration = Duration::from_secs(5);

/// So many pods are tried for one connection.
const TRIES: usize = 3;

/// Listens at a service's address, on whose network this runs.
pub(super) async fn serve_at(address: SocketAddr, proxy: Proxy, target: Target) {
    match TcpListener::bind(address).await {
        Ok(listener) => serve(&listener, proxy, target).await,
        Err(error) => tracing::warn!(%address, %error, "a service has no listener"),
    }
}

/// Forwards every connection that `listener` accepts, and restarts after a panic without closing the listener.
pub(super) async fn serve_with_restarts(listener: TcpListener, proxy: Proxy, target: Target) {
    let address = listener.local_addr();
    let instance = address.map_or_else(|_| String::new(), |address| address.to_string());
    let component = proxy.listeners.clone();
    let state = (listener, proxy, target);
    component
        .run(&instance, state, |(listener, proxy, target)| {
            serve(listener, proxy.clone(), target.clone()).boxed()
        })
        .await;
}

/// Passes on every connection that `listener` takes.
async fn serve(listener: &TcpListener, proxy: Proxy, target: Target) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    proxy.listeners.failpoint();
                    let connection = pass_on(stream, proxy.clone(), target.clone());
                    let component = proxy.listeners.clone();
                    connections.spawn(async move { component.run_once(connection).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "a service could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass_on(mut caller: TcpStream, proxy: Proxy, target: Target) {
    let network = proxy.network.clone();
    let client = caller.peer_addr().ok().map(|address| address.ip());
    // The pod's end is made where pods can be reached, whichever network the caller's end is of.
    let dialled = network.spawn(async move { dial(&proxy, &target, client).await });
    match dialled.await {
        Ok(Ok(mut pod)) => {
            let _ = (caller.set_nodelay(true), pod.set_nodelay(true));
            if let Err(error) = tokio::io::copy_bidirectional(&mut caller, &mut pod).await {
                tracing::debug!(%error, "a connection to a service broke off");
            }
        }
        // Nobody is there: the caller sees a reset, the nearest to a refusal once it is connected.
        _ => drop(caller.set_zero_linger()),
    }
}

async fn dial(proxy: &Proxy, target: &Target, client: Option<IpAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::ConnectionRefused);
    for _ in 0..TRIES {
        let Some(pod) = proxy.backends.next(target, client) else {
            break;
        };
        match timeout(CONNECT, TcpStream::connect(pod)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}
