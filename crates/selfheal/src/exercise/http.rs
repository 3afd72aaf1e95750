//! One request to a service, as `curl` makes it: a fresh connection, no retry.
//!
//! A retry would be a second call, and the exercises count calls.

use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

const DEADLINE: Duration = Duration::from_secs(30);
const BODY_LIMIT: usize = 64 * 1024;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Its status.
    pub(crate) status: u16,
    /// Its body as text.
    pub(crate) body: String,
}

/// Calls services: over sockets, or within the process.
#[async_trait]
pub(crate) trait Caller: Send + Sync {
    /// Makes one GET request.
    async fn get(&self, url: &str) -> anyhow::Result<Reply>;
}

/// Calls over the network.
pub(crate) struct Sockets;

#[async_trait]
impl Caller for Sockets {
    async fn get(&self, url: &str) -> anyhow::Result<Reply> {
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build_http();
        let exchange = async {
            let response = client.get(url.parse()?).await?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), BODY_LIMIT)
                .collect()
                .await
                .map_err(anyhow::Error::from_boxed)?;
            let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            anyhow::Ok(Reply { status, body })
        };
        tokio::time::timeout(DEADLINE, exchange)
            .await
            .with_context(|| format!("GET {url}: no answer in {} s", DEADLINE.as_secs()))?
            .with_context(|| format!("GET {url}"))
    }
}
