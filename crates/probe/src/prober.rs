//! One attempt of one probe, whoever makes it.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use crate::outcome::{Outcome, ProbeError};

/// Makes one attempt.
#[async_trait]
pub trait Prober: Send + Sync + 'static {
    /// Does `action` to `target` within `timeout` of tokio's time.
    async fn probe(
        &self,
        target: &Target,
        action: &Action,
        timeout: Duration,
    ) -> Result<Outcome, ProbeError>;
}

/// Whom a probe is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The pod's UID.
    pub pod_uid: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
    /// The container instance, without the scheme of its ID.
    pub container_id: String,
    /// The pod's address, where it is known.
    pub ip: Option<IpAddr>,
}

/// What an attempt does: a handler whose port, host, path and arguments are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A GET request.
    Http(HttpGet),
    /// A connection, closed at once.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port; out of range makes the attempt fail as a dial error.
        port: i32,
    },
    /// A command in the container.
    Exec {
        /// The program and its arguments, expanded.
        command: Vec<String>,
    },
    /// A call of the gRPC health service.
    Grpc {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// The service asked for; empty for the server as a whole.
        service: String,
    },
}

/// A GET request, ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGet {
    /// The whole URL.
    pub url: String,
    /// Headers to send, names canonical, in order.
    pub headers: Vec<(String, String)>,
}
