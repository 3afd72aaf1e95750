//! Probes from this process: over its network, and as its child processes.

use std::time::Duration;

use async_trait::async_trait;

use crate::http::Http2;
use crate::outcome::{Outcome, ProbeError};
use crate::prober::{ProbeTarget, Prober, ResolvedHandler};
use crate::{exec, grpc, http, tcp};

/// User agent of the kubelet's probes.
pub const USER_AGENT: &str = "kube-probe/1.36";

/// Runs every handler in this process's namespaces. Hosts with other namespaces for containers implement [`Prober`]
/// themselves, at least for exec.
#[derive(Clone, Debug)]
pub struct LocalProber {
    http: http::Client,
    user_agent: String,
}

impl LocalProber {
    /// Creates a prober. `http2` applies to HTTPS targets.
    #[must_use]
    pub fn new(user_agent: &str, http2: Http2) -> Self {
        Self {
            http: http::Client::new(user_agent, http2),
            user_agent: user_agent.to_owned(),
        }
    }
}

impl Default for LocalProber {
    fn default() -> Self {
        Self::new(USER_AGENT, Http2::Offered)
    }
}

#[async_trait]
impl Prober for LocalProber {
    async fn probe(
        &self,
        _: &ProbeTarget,
        handler: &ResolvedHandler,
        timeout: Duration,
    ) -> Result<Outcome, ProbeError> {
        match handler {
            ResolvedHandler::Http(get) => self.http.probe(get, timeout).await,
            ResolvedHandler::Tcp { host, port } => Ok(tcp::probe(host, *port, timeout).await),
            ResolvedHandler::Exec { command } => exec::probe(command, timeout).await,
            ResolvedHandler::Grpc {
                host,
                port,
                service,
            } => Ok(grpc::probe(host, *port, service, &self.user_agent, timeout).await),
        }
    }
}
