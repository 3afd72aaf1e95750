//! The HTTP probe: the kubelet's client, with its redirects and the error texts of Go's `net/http`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::dial;
use crate::go_url::{LocationForm, Url};
use crate::outcome::{Outcome, ProbeError, Reason, Verdict};
use crate::prober::HttpGet;
use crate::tls::Tls;

mod error;
mod http1;
mod http2;
mod request;
mod response;
mod tls;

use error::{BODY_TIMEOUT, HEADER_TIMEOUT, HttpError};
use request::Request;
use response::Response;

/// Maximum number of requests in a chain of redirects.
const MAX_REQUESTS: usize = 10;

/// Headers that are not sent to the host of a redirect.
const CREDENTIAL_HEADERS: [&str; 4] = ["Authorization", "Www-Authenticate", "Cookie", "Cookie2"];

/// Use of HTTP/2 with HTTPS servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2 {
    /// Offered in the TLS handshake, as by the kubelet.
    Offered,
    /// Not offered, as by a kubelet whose environment has `DISABLE_HTTP2`.
    Disabled,
}

/// Sends HTTP probes. Each request uses its own connection.
#[derive(Clone, Debug)]
pub struct Client {
    /// Initialized for the first HTTPS URL: most probes have none, and it would page in a large part of the program.
    tls: Arc<OnceLock<Tls>>,
    http2: Http2,
    user_agent: Arc<str>,
    redirects: Redirects,
}

/// Hosts to which redirects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Redirects {
    SameHost,
    AnyHost,
}

/// A received response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Headers in order; names in any case.
    pub headers: Vec<(String, String)>,
    /// First [`MAX_OUTPUT`](crate::MAX_OUTPUT) bytes of the body.
    pub body: Vec<u8>,
}

impl Client {
    /// Creates a client. `user_agent` is sent unless a probe's headers contain another one.
    #[must_use]
    pub fn new(user_agent: impl Into<Arc<str>>, http2: Http2) -> Self {
        Self {
            tls: Arc::default(),
            http2,
            user_agent: user_agent.into(),
            redirects: Redirects::SameHost,
        }
    }

    /// Follows redirects to other host names too, unlike the kubelet.
    #[must_use]
    pub fn follow_other_hosts(self) -> Self {
        Self {
            redirects: Redirects::AnyHost,
            ..self
        }
    }

    /// Uses `config` for HTTPS. `server_name` replaces the URL's host in SNI and verification.
    #[must_use]
    pub fn with_tls(self, config: rustls::ClientConfig, server_name: Option<String>) -> Self {
        Self {
            tls: Arc::new(OnceLock::from(Tls {
                config: tls::set_protocols(config, self.http2),
                server_name,
            })),
            ..self
        }
    }

    fn tls(&self) -> &Tls {
        self.tls.get_or_init(|| {
            let config = crate::tls::build_client_config(None, None);
            let config = config.expect("the provider supports the default versions");
            Tls {
                config: tls::set_protocols(config, self.http2),
                server_name: None,
            }
        })
    }

    /// Sends the request of a probe and returns the response for the caller to classify. Returns the outcome of the probe
    /// if there is no response.
    ///
    /// # Errors
    /// If the URL is invalid, or the body could not be read.
    pub async fn fetch(
        &self,
        get: &HttpGet,
        timeout: Duration,
    ) -> Result<Result<HttpResponse, Outcome>, ProbeError> {
        let start = Instant::now();
        match self.request(get, start, timeout).await? {
            Ok(response) => {
                let headers = response.headers.pairs();
                let status = response.status;
                let body = read_body(response, start + timeout).await?;
                Ok(Ok(HttpResponse {
                    status,
                    headers,
                    body,
                }))
            }
            Err(outcome) => Ok(Err(outcome)),
        }
    }

    /// Makes one attempt. `timeout` includes redirects and the body.
    ///
    /// # Errors
    /// If the URL is invalid, or the body could not be read.
    pub async fn probe(&self, get: &HttpGet, timeout: Duration) -> Result<Outcome, ProbeError> {
        let start = Instant::now();
        let response = match self.request(get, start, timeout).await? {
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

    async fn request(
        &self,
        get: &HttpGet,
        start: Instant,
        timeout: Duration,
    ) -> Result<Result<Response, Outcome>, ProbeError> {
        let url = Url::parse(&get.url)
            .map_err(|cause| ProbeError::unknown(format!("parse {:?}: {cause}", get.url)))?;
        let response = self.follow_redirects(get, url, start + timeout).await;
        Ok(response.map_err(|(url, error)| Outcome {
            verdict: Verdict::Failure,
            reason: Some(error.reason),
            output: format!("Get {url:?}: {}", error.text),
            took: start.elapsed(),
        }))
    }

    /// Returns the first response that is not followed as a redirect, or an error and the URL that Go prints before it.
    async fn follow_redirects(
        &self,
        get: &HttpGet,
        first: Url,
        deadline: Instant,
    ) -> Result<Response, (String, HttpError)> {
        let mut host = request::first_value(&get.headers, "Host");
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
            let response = response.map_err(|error| (url.to_string(), error))?;
            let Some(location) = redirect_location(&response) else {
                return Ok(response);
            };
            let (next, form) = url.join(location).map_err(|cause| {
                let text = format!(
                    "failed to parse Location header {location:?}: parse {location:?}: {cause}"
                );
                (url.to_string(), HttpError::protocol(text))
            })?;
            let same_host = next.hostname() == first.hostname();
            if !same_host && self.redirects == Redirects::SameHost {
                return Ok(response);
            }
            if requests >= MAX_REQUESTS {
                let text = format!("stopped after {MAX_REQUESTS} redirects");
                return Err((location.to_owned(), HttpError::protocol(text)));
            }
            if form == LocationForm::Absolute {
                host = None;
            }
            if !same_host {
                headers
                    .to_mut()
                    .retain(|(name, _)| !CREDENTIAL_HEADERS.contains(&name.as_str()));
            }
            referer = (!url.is_https() || next.is_https()).then(|| url.to_string());
            url = next;
        }
        unreachable!("the loop returns")
    }

    async fn exchange(
        &self,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<Response, HttpError> {
        let url = request.url;
        if !matches!(url.scheme.as_str(), "http" | "https") {
            let text = format!("unsupported protocol scheme {:?}", url.scheme);
            return Err(HttpError::new(Reason::Other, text));
        }
        // Go rejects an invalid request before it connects.
        request.head()?;
        let connection = match dial::dial(url.hostname(), url.port(), deadline).await {
            Ok(connection) => connection,
            Err(error) if Instant::now() >= deadline => {
                return Err(HttpError::new(error.reason, HEADER_TIMEOUT));
            }
            Err(error) => return Err(error.into()),
        };
        let endpoints = error::endpoints_label(&connection);
        let exchange = async {
            if !url.is_https() {
                return http1::exchange(request, Box::new(connection), endpoints).await;
            }
            match tls::handshake(self.tls(), url.hostname(), connection).await? {
                tls::Session::Http2(stream) => http2::exchange(request, stream).await,
                tls::Session::Http1(stream) => http1::exchange(request, stream, endpoints).await,
            }
        };
        timeout_at(deadline, exchange)
            .await
            .unwrap_or_else(|_| Err(HttpError::new(Reason::ResponseTimeout, HEADER_TIMEOUT)))
    }
}

/// Returns the location of a redirect that Go follows.
fn redirect_location(response: &Response) -> Option<&str> {
    let location = response.location.as_deref().filter(|to| !to.is_empty());
    location.filter(|_| matches!(response.status, 301 | 302 | 303 | 307 | 308))
}

async fn read_body(response: Response, deadline: Instant) -> Result<Vec<u8>, ProbeError> {
    timeout_at(deadline, response.body.read())
        .await
        .unwrap_or_else(|_| Err(BODY_TIMEOUT.to_owned()))
        .map_err(ProbeError::interrupted)
}

async fn classify(
    response: Response,
    deadline: Instant,
) -> Result<(Verdict, Option<Reason>, String), ProbeError> {
    let status = response.status;
    let body = read_body(response, deadline).await?;
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
