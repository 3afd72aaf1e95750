//! Forwards TCP connections to endpoints.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Proxy, ServicePortName};

/// Timeout of one connection attempt. A pod on the same host accepts sooner or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Delay after a failed `accept`, such as one for lack of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Maximum number of endpoints that are tried for one connection.
const MAX_DIAL_ATTEMPTS: usize = 3;

/// Listens on `address` and forwards connections to the endpoints of `port`. Must run on the network of the address.
pub(super) async fn bind_and_serve(address: SocketAddr, proxy: Proxy, port: ServicePortName) {
    match TcpListener::bind(address).await {
        Ok(listener) => serve(&listener, proxy, port).await,
        Err(error) => tracing::warn!(%address, %error, "cannot bind service listener"),
    }
}

/// Forwards every connection that `listener` accepts, and restarts after a panic without closing the listener.
pub(super) async fn serve_with_restarts(
    listener: TcpListener,
    proxy: Proxy,
    port: ServicePortName,
) {
    let address = listener.local_addr();
    let instance = address.map_or_else(|_| String::new(), |address| address.to_string());
    let component = proxy.listeners.clone();
    let state = (listener, proxy, port);
    component
        .run(&instance, state, |(listener, proxy, port)| {
            serve(listener, proxy.clone(), port.clone()).boxed()
        })
        .await;
}

/// Forwards every connection that `listener` accepts.
async fn serve(listener: &TcpListener, proxy: Proxy, port: ServicePortName) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    proxy.listeners.failpoint();
                    let connection = proxy_connection(stream, proxy.clone(), port.clone());
                    let component = proxy.listeners.clone();
                    connections.spawn(async move { component.run_once(connection).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "service listener cannot accept a connection");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn proxy_connection(mut client: TcpStream, proxy: Proxy, port: ServicePortName) {
    let pod_network = proxy.pod_network.clone();
    let client_ip = client.peer_addr().ok().map(|address| address.ip());
    // Pods can be reached from the pod network only; the client's connection may be of the host's.
    let dialled = pod_network.spawn(async move { dial(&proxy, &port, client_ip).await });
    match dialled.await {
        Ok(Ok(mut pod)) => {
            let _ = (client.set_nodelay(true), pod.set_nodelay(true));
            if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut pod).await {
                tracing::debug!(%error, "connection to a service closed with an error");
            }
        }
        // No endpoint: a reset is the nearest to a refusal once the client is connected.
        _ => drop(client.set_zero_linger()),
    }
}

/// Connects to an endpoint; returns the last error if every attempt failed.
async fn dial(
    proxy: &Proxy,
    port: &ServicePortName,
    client_ip: Option<IpAddr>,
) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::ConnectionRefused);
    for _ in 0..MAX_DIAL_ATTEMPTS {
        let Some(endpoint) = proxy.endpoints.pick_endpoint(port, client_ip) else {
            break;
        };
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(endpoint)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}
