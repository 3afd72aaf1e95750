//! One request to a service, as `curl` makes it: a fresh connection, no retry.
//!
//! A retry would be a second call, and the exercises count calls.

use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use probe::Clock;

/// How long [`Patient`] waits before it calls again.
const PERIOD: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(30);
const BODY_LIMIT: usize = 64 * 1024;

/// Calls services: over sockets, or within the process.
#[async_trait]
pub(crate) trait Caller: Send + Sync {
    /// Makes one request.
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>>;

    /// Makes one GET request.
    async fn get(&self, url: &str) -> anyhow::Result<Response<String>> {
        self.send(Request::get(url).body(String::new())?).await
    }
}

/// Nobody took the connection: no part of the request was sent, and nobody has counted a call.
#[derive(Debug, thiserror::Error)]
#[error("no connection")]
pub(crate) struct NoConnection;

/// Calls over the network.
pub(crate) struct Sockets;

#[async_trait]
impl Caller for Sockets {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .retry_canceled_requests(false)
            .build_http();
        let what = format!("{} {}", request.method(), request.uri());
        let exchange = async {
            let request = request.map(|body| Full::new(Bytes::from(body)));
            let (head, body) = client.request(request).await.map_err(told)?.into_parts();
            let body = Limited::new(body, BODY_LIMIT)
                .collect()
                .await
                .map_err(anyhow::Error::from_boxed)?;
            let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            anyhow::Ok(Response::from_parts(head, body))
        };
        tokio::time::timeout(DEADLINE, exchange)
            .await
            .with_context(|| format!("{what}: no answer in {} s", DEADLINE.as_secs()))?
            .with_context(|| what)
    }
}

/// Tells a request that nobody can have seen from all others.
fn told(error: hyper_util::client::legacy::Error) -> anyhow::Error {
    let unseen = error.is_connect();
    let error = anyhow::Error::new(error);
    if unseen {
        error.context(NoConnection)
    } else {
        error
    }
}

/// Calls again, a second later, for as long as nobody takes the connection: a service has an address before the
/// proxies of every node know it.
pub(crate) struct Patient<'a> {
    pub(crate) caller: &'a dyn Caller,
    pub(crate) clock: &'a Clock,
    pub(crate) within: Duration,
}

#[async_trait]
impl Caller for Patient<'_> {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        let deadline = self.clock.elapsed() + self.within;
        loop {
            let answer = self.caller.send(request.clone()).await;
            let Err(error) = &answer else { return answer };
            if error.downcast_ref::<NoConnection>().is_none() || self.clock.elapsed() >= deadline {
                return answer;
            }
            self.clock.sleep(PERIOD).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use jiff::Timestamp;

    use super::*;

    /// Answers from the given call on; refuses those before it, or breaks them off.
    struct Late {
        from: u32,
        calls: AtomicU32,
        refuses: bool,
    }

    #[async_trait]
    impl Caller for Late {
        async fn send(&self, _: Request<String>) -> anyhow::Result<Response<String>> {
            if self.calls.fetch_add(1, Ordering::Relaxed) + 1 >= self.from {
                return Ok(Response::new("42".to_owned()));
            }
            let error = anyhow::anyhow!("broken off");
            Err(if self.refuses {
                error.context(NoConnection)
            } else {
                error
            })
        }
    }

    /// How many calls it took, and whether there was an answer in the end.
    async fn patiently(from: u32, refuses: bool) -> (u32, bool) {
        let late = Late {
            from,
            calls: AtomicU32::new(0),
            refuses,
        };
        let patient = Patient {
            caller: &late,
            clock: &Clock::new(Timestamp::UNIX_EPOCH, 1.0),
            within: Duration::from_secs(5),
        };
        let answered = patient.get("http://127.0.0.1:8013/rng").await.is_ok();
        (late.calls.into_inner(), answered)
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_nobody_serves_yet_is_called_again_until_the_deadline() {
        assert_eq!(patiently(1, true).await, (1, true));
        assert_eq!(patiently(4, true).await, (4, true));
        assert_eq!(patiently(60, true).await, (6, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_somebody_may_have_seen_is_made_once() {
        assert_eq!(patiently(2, false).await, (1, false));
    }

    #[tokio::test]
    async fn a_refused_connection_is_told_from_one_that_is_broken_off() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let breaks = async {
            drop(listener.accept().await.unwrap());
        };
        let (broken_off, ()) = tokio::join!(Sockets.get(&url), breaks);
        assert!(
            broken_off
                .unwrap_err()
                .downcast_ref::<NoConnection>()
                .is_none()
        );
        drop(listener);
        let refused = Sockets.get(&url).await.unwrap_err();
        assert!(
            refused.downcast_ref::<NoConnection>().is_some(),
            "{refused:#}"
        );
    }
}
