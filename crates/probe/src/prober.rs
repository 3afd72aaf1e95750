//! The interface between workers and the code that runs probes.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use crate::outcome::{Outcome, ProbeError};

/// Runs single attempts.
#[async_trait]
pub trait Prober: Send + Sync + 'static {
    /// Makes one attempt of `handler` on `target`. `timeout` is in tokio's time.
    ///
    /// # Errors
    /// If the attempt could not be made or completed, so that the state of the target is unknown.
    async fn probe(
        &self,
        target: &ProbeTarget,
        handler: &ResolvedHandler,
        timeout: Duration,
    ) -> Result<Outcome, ProbeError>;
}

/// The container that is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeTarget {
    /// UID of the pod.
    pub pod_uid: String,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// ID of the container instance, without the runtime's scheme.
    pub container_id: String,
    /// IP address of the pod, if published.
    pub ip: Option<IpAddr>,
}

/// A probe handler with resolved port, host, URL and arguments.
///
/// Exhaustive on purpose: a host has to support each handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedHandler {
    /// GET request.
    Http(HttpGet),
    /// TCP connection.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port. One out of range is a dial error, which is a failure.
        port: i32,
    },
    /// Command in the container.
    Exec {
        /// Program and arguments, expanded.
        command: Vec<String>,
    },
    /// Call of the gRPC health service.
    Grpc {
        /// Host name or address.
        host: String,
        /// Port of the server.
        port: u16,
        /// Requested service; empty for the whole server.
        service: String,
    },
}

/// URL and headers of an HTTP probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGet {
    /// Absolute URL.
    pub url: String,
    /// Headers to send, in order, with canonical names.
    pub headers: Vec<(String, String)>,
}
