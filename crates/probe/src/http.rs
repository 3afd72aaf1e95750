//! The HTTP probe: the kubelet's client with the texts of Go's, redirects and all.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::dial;
use crate::outcome::{Outcome, ProbeError, Reason, Verdict};
use crate::prober::HttpGet;
use crate::tls::Tls;

mod fault;
mod http1;
mod http2;
mod request;
mod response;
mod tls;
mod url;

use fault::{Fault, NO_BODY_IN_TIME, NO_HEAD_IN_TIME};
use request::Request;
use response::Response;
use url::Url;

/// After so many requests a chain of redirects is given up.
const MAX_REQUESTS: usize = 10;

/// Sends no credentials to a host that the manifest does not name.
const SENSITIVE: [&str; 4] = ["Authorization", "Www-Authenticate", "Cookie", "Cookie2"];

/// Makes HTTP probes. A connection is made for each request and never used again.
#[derive(Clone, Debug)]
pub struct Client {
    /// Made for the first URL that asks for it: most probes never do, and it reads a good part of a program into memory.
    tls: Arc<OnceLock<Tls>>,
    http2: bool,
    user_agent: Arc<str>,
    follow_other_hosts: bool,
}

/// What a server answered, whatever it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, in order; names in any case.
    pub headers: Vec<(String, String)>,
    /// At most [`MAX_OUTPUT`](crate::MAX_OUTPUT) bytes of the body.
    pub body: Vec<u8>,
}

impl Client {
    /// A client that names itself `user_agent` where a manifest does not, and offers HTTP/2 over TLS where `http2` is set.
    #[must_use]
    pub fn new(user_agent: impl Into<Arc<str>>, http2: bool) -> Self {
        Self {
            tls: Arc::default(),
            http2,
            user_agent: user_agent.into(),
            follow_other_hosts: false,
        }
    }

    /// Follows redirects to other host names too, which the kubelet's probes do not.
    #[must_use]
    pub fn following_other_hosts(self) -> Self {
        Self {
            follow_other_hosts: true,
            ..self
        }
    }

    /// Trusts and shows what `config` says; the server has to have `server_name` instead of the host's, if one is given.
    #[must_use]
    pub fn with_tls(self, config: rustls::ClientConfig, server_name: Option<String>) -> Self {
        Self {
            tls: Arc::new(OnceLock::from(Tls {
                config: tls::offering(config, self.http2),
                server_name,
            })),
            ..self
        }
    }

    fn tls(&self) -> &Tls {
        self.tls.get_or_init(|| {
            let any = crate::tls::client(None, None);
            let any = any.expect("the provider has suites for the default versions");
            Tls {
                config: tls::offering(any, self.http2),
                server_name: None,
            }
        })
    }

    /// Gets an answer within `timeout`, as a probe does, and leaves it to the caller what to make of it. Without an answer
    /// it is the probe's outcome.
    pub async fn fetch(
        &self,
        get: &HttpGet,
        timeout: Duration,
    ) -> Result<Result<Answer, Outcome>, ProbeError> {
        let start = Instant::now();
        match self.response(get, start, timeout).await? {
            Ok(response) => {
                let headers = response.headers.pairs();
                let status = response.status;
                let body = body(response, start + timeout).await?;
                Ok(Ok(Answer {
                    status,
                    headers,
                    body,
                }))
            }
            Err(outcome) => Ok(Err(outcome)),
        }
    }

    /// Makes one attempt within `timeout`, redirects and body included.
    pub async fn probe(&self, get: &HttpGet, timeout: Duration) -> Result<Outcome, ProbeError> {
        let start = Instant::now();
        let response = match self.response(get, start, timeout).await? {
            Ok(response) => response,
            Err(outcome) => return Ok(outcome),
        };
        let (verdict, reason, output) = classify(response, start + timeout).await?;
        Ok(Outcome {
            verdict,
            reason,
            output,
            took: start.elapsed(),
        })
    }

    async fn response(
        &self,
        get: &HttpGet,
        start: Instant,
        timeout: Duration,
    ) -> Result<Result<Response, Outcome>, ProbeError> {
        let url = Url::parse(&get.url)
            .map_err(|why| ProbeError::unknown(format!("parse {:?}: {why}", get.url)))?;
        let followed = self.follow(get, url, start + timeout).await;
        Ok(followed.map_err(|(at, fault)| Outcome {
            verdict: Verdict::Failure,
            reason: Some(fault.reason),
            output: format!("Get {at:?}: {}", fault.text),
            took: start.elapsed(),
        }))
    }

    /// The response that is nobody's redirect, or the fault and the URL that Go puts before it.
    async fn follow(
        &self,
        get: &HttpGet,
        first: Url,
        deadline: Instant,
    ) -> Result<Response, (String, Fault)> {
        let mut host = request::first(&get.headers, "Host");
        let mut headers = std::borrow::Cow::Borrowed(get.headers.as_slice());
        let mut url = first.clone();
        let mut referer = None;
        for requests in 1.. {
            let request = Request {
                url: &url,
                host,
                headers: &headers,
                referer: referer.take(),
                user_agent: &self.user_agent,
            };
            let response = self.exchange(&request, deadline).await;
            let response = response.map_err(|fault| (url.to_string(), fault))?;
            let Some(location) = redirect(&response) else {
                return Ok(response);
            };
            let (next, absolute) = url.join(location).map_err(|why| {
                let text = format!(
                    "failed to parse Location header {location:?}: parse {location:?}: {why}"
                );
                (url.to_string(), Fault::protocol(text))
            })?;
            let same_host = next.hostname() == first.hostname();
            if !same_host && !self.follow_other_hosts {
                return Ok(response);
            }
            if requests >= MAX_REQUESTS {
                let text = format!("stopped after {MAX_REQUESTS} redirects");
                return Err((location.to_owned(), Fault::protocol(text)));
            }
            if absolute {
                host = None;
            }
            if !same_host {
                let sensitive = |name: &str| SENSITIVE.contains(&name);
                headers.to_mut().retain(|(name, _)| !sensitive(name));
            }
            referer = (!url.is_https() || next.is_https()).then(|| url.to_string());
            url = next;
        }
        unreachable!("the loop ends by returning")
    }

    async fn exchange(&self, request: &Request<'_>, deadline: Instant) -> Result<Response, Fault> {
        let url = request.url;
        if !matches!(url.scheme.as_str(), "http" | "https") {
            let text = format!("unsupported protocol scheme {:?}", url.scheme);
            return Err(Fault::new(Reason::Other, text));
        }
        // What cannot be sent is refused before anybody is connected to.
        request.head()?;
        let connection = match dial::dial(url.hostname(), url.port(), deadline).await {
            Ok(connection) => connection,
            Err(error) if Instant::now() >= deadline => {
                return Err(Fault::new(error.reason, NO_HEAD_IN_TIME));
            }
            Err(error) => return Err(error.into()),
        };
        let route = fault::route(&connection);
        let exchange = async {
            if !url.is_https() {
                return http1::exchange(request, Box::new(connection), route).await;
            }
            match tls::handshake(self.tls(), url.hostname(), connection).await? {
                (stream, true) => http2::exchange(request, stream).await,
                (stream, false) => http1::exchange(request, stream, route).await,
            }
        };
        timeout_at(deadline, exchange)
            .await
            .unwrap_or_else(|_| Err(Fault::new(Reason::ResponseTimeout, NO_HEAD_IN_TIME)))
    }
}

/// Where a response sends the client, if it does.
fn redirect(response: &Response) -> Option<&str> {
    let location = response.location.as_deref().filter(|to| !to.is_empty());
    location.filter(|_| matches!(response.status, 301 | 302 | 303 | 307 | 308))
}

async fn body(response: Response, deadline: Instant) -> Result<Vec<u8>, ProbeError> {
    timeout_at(deadline, response.body.read())
        .await
        .unwrap_or_else(|_| Err(NO_BODY_IN_TIME.to_owned()))
        .map_err(ProbeError::broken_off)
}

async fn classify(
    response: Response,
    deadline: Instant,
) -> Result<(Verdict, Option<Reason>, String), ProbeError> {
    let status = response.status;
    let body = body(response, deadline).await?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(match status {
        200..300 => (Verdict::Success, None, body),
        300..400 => (
            Verdict::Warning,
            None,
            format!("Probe terminated redirects, Response body: {body}"),
        ),
        _ => (
            Verdict::Failure,
            Some(Reason::Status(status)),
            format!("HTTP probe failed with statuscode: {status}"),
        ),
    })
}

#[cfg(test)]
mod tests;
