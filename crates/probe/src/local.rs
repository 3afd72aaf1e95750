//! Attempts made from this process: over its network, and as its child processes.

use std::time::Duration;

use async_trait::async_trait;

use crate::outcome::{Outcome, ProbeError};
use crate::prober::{Action, Prober, Target};
use crate::{exec, grpc, http, tcp};

/// What the kubelet calls itself.
pub const USER_AGENT: &str = "kube-probe/1.36";

/// Makes every kind of attempt. Where containers have namespaces of their own, whoever can enter them runs the commands.
#[derive(Clone, Debug)]
pub struct LocalProber {
    http: http::Client,
    user_agent: String,
}

impl LocalProber {
    /// A prober that names itself `user_agent`, and offers HTTP/2 to HTTPS targets where `http2` is set.
    #[must_use]
    pub fn new(user_agent: &str, http2: bool) -> Self {
        Self {
            http: http::Client::new(user_agent, http2),
            user_agent: user_agent.to_owned(),
        }
    }
}

impl Default for LocalProber {
    fn default() -> Self {
        Self::new(USER_AGENT, true)
    }
}

#[async_trait]
impl Prober for LocalProber {
    async fn probe(
        &self,
        _: &Target,
        action: &Action,
        timeout: Duration,
    ) -> Result<Outcome, ProbeError> {
        match action {
            Action::Http(get) => self.http.probe(get, timeout).await,
            Action::Tcp { host, port } => Ok(tcp::probe(host, *port, timeout).await),
            Action::Exec { command } => exec::probe(command, timeout).await,
            Action::Grpc {
                host,
                port,
                service,
            } => Ok(grpc::probe(host, *port, service, &self.user_agent, timeout).await),
        }
    }
}
