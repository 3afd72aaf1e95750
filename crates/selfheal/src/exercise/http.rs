//! HTTP requests to services, as `curl` sends them: each on a new connection, without a retry.
//!
//! A retry would be a second request, and the exercises count requests.

use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use probe::Clock;

/// Interval between the attempts of [`RetryOnConnect`], on the cluster's clock.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Client for services: over the network, or within the process.
#[async_trait]
pub(crate) trait HttpClient: Send + Sync {
    /// Sends one request.
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>>;

    /// Sends one GET request.
    async fn get(&self, url: &str) -> anyhow::Result<Response<String>> {
        self.send(Request::get(url).body(String::new())?).await
    }
}

/// Context of errors before the connection was established: the server has not received any part of the request.
#[derive(Debug, thiserror::Error)]
#[error("no connection")]
pub(crate) struct ConnectError;

/// Client over the network.
pub(crate) struct NetworkClient;

#[async_trait]
impl HttpClient for NetworkClient {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build_http();
        let description = format!("{} {}", request.method(), request.uri());
        let exchange = async {
            let request = request.map(|body| Full::new(Bytes::from(body)));
            let response = client.request(request).await.map_err(tag_connect_error)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY_BYTES)
                .collect()
                .await
                .map_err(anyhow::Error::from_boxed)?;
            let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            anyhow::Ok(Response::from_parts(head, body))
        };
        tokio::time::timeout(REQUEST_TIMEOUT, exchange)
            .await
            .with_context(|| {
                let seconds = REQUEST_TIMEOUT.as_secs();
                format!("{description}: no response within {seconds} s")
            })?
            .with_context(|| description)
    }
}

/// Adds [`ConnectError`] to errors before the connection was established.
fn tag_connect_error(error: hyper_util::client::legacy::Error) -> anyhow::Error {
    let is_connect = error.is_connect();
    let error = anyhow::Error::new(error);
    if is_connect {
        error.context(ConnectError)
    } else {
        error
    }
}

/// Client that retries after a [`ConnectError`]: a service has an address before the proxies of all nodes have applied it.
pub(crate) struct RetryOnConnect<'a> {
    pub(crate) http: &'a dyn HttpClient,
    pub(crate) clock: &'a Clock,
    /// Time after which no further attempt starts, on the cluster's clock.
    pub(crate) timeout: Duration,
}

#[async_trait]
impl HttpClient for RetryOnConnect<'_> {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        let deadline = self.clock.elapsed() + self.timeout;
        loop {
            let result = self.http.send(request.clone()).await;
            let Err(error) = &result else { return result };
            if error.downcast_ref::<ConnectError>().is_none() || self.clock.elapsed() >= deadline {
                return result;
            }
            self.clock.sleep(RETRY_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use jiff::Timestamp;

    use super::*;

    /// Error of requests before the service responds.
    #[derive(Clone, Copy)]
    enum Failure {
        /// The connection is refused.
        Refused,
        /// The connection is closed before the response.
        Closed,
    }

    /// Service that responds from the given request on.
    struct StartingService {
        first_response: u32,
        requests: AtomicU32,
        failure: Failure,
    }

    #[async_trait]
    impl HttpClient for StartingService {
        async fn send(&self, _: Request<String>) -> anyhow::Result<Response<String>> {
            if self.requests.fetch_add(1, Ordering::Relaxed) + 1 >= self.first_response {
                return Ok(Response::new("42".to_owned()));
            }
            let error = anyhow::anyhow!("connection closed");
            Err(match self.failure {
                Failure::Refused => error.context(ConnectError),
                Failure::Closed => error,
            })
        }
    }

    /// Returns the number of requests, and whether the last one had a response.
    async fn request_with_retries(first_response: u32, failure: Failure) -> (u32, bool) {
        let service = StartingService {
            first_response,
            requests: AtomicU32::new(0),
            failure,
        };
        let client = RetryOnConnect {
            http: &service,
            clock: &Clock::new(Timestamp::UNIX_EPOCH, 1.0),
            timeout: Duration::from_secs(5),
        };
        let has_response = client.get("http://127.0.0.1:8013/rng").await.is_ok();
        (service.requests.into_inner(), has_response)
    }

    #[tokio::test(start_paused = true)]
    async fn refused_request_is_retried_until_the_timeout() {
        assert_eq!(request_with_retries(1, Failure::Refused).await, (1, true));
        assert_eq!(request_with_retries(4, Failure::Refused).await, (4, true));
        assert_eq!(request_with_retries(60, Failure::Refused).await, (6, false));
    }

    #[tokio::test(start_paused = true)]
    async fn request_that_a_server_may_have_received_is_not_retried() {
        assert_eq!(request_with_retries(2, Failure::Closed).await, (1, false));
    }

    #[tokio::test]
    async fn only_a_refused_connection_is_a_connect_error() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let accept_and_close = async {
            drop(listener.accept().await.unwrap());
        };
        let (closed, ()) = tokio::join!(NetworkClient.get(&url), accept_and_close);
        assert!(closed.unwrap_err().downcast_ref::<ConnectError>().is_none());
        drop(listener);
        let refused = NetworkClient.get(&url).await.unwrap_err();
        assert!(
            refused.downcast_ref::<ConnectError>().is_some(),
            "{refused:#}"
        );
    }
}
