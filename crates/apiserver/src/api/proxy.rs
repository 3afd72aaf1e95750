//! The subresource `proxy`: forwards HTTP requests to a pod or to a ready pod of a service
//! (`…/pods/NAME:PORT/proxy/PATH`), for clients that can reach only the API server.
//!
//! Connections go to the pod's loopback interface, as with `kubectl port-forward`. A server that listens only at the pod's
//! address cannot be reached.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::header::{AUTHORIZATION, CONNECTION, HOST, LOCATION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::target::{Scheme, Target};
use super::request_info::RequestInfo;
use super::{Api, StatusError, container};
use crate::kinds::{self, Subresource};

mod target;

/// Headers that apply to one connection (RFC 9110, section 7.6.1).
const HOP_BY_HOP_HEADERS: [HeaderName; 7] = [
    CONNECTION,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    http::header::TE,
    http::header::TRAILER,
    http::header::TRANSFER_ENCODING,
];

/// Splits a path after the subresource `proxy` into the API's path and the path of the proxied request; the second is
/// `None` if the path is not one of `proxy`.
pub(super) fn split_path(path: &str) -> (&str, Option<&str>) {
    let ends = path
        .match_indices("/proxy")
        .map(|(start, found)| start + found.len());
    for end in ends {
        let (own_path, proxied_path) = path.split_at(end);
        let parts: Vec<&str> = own_path.trim_start_matches('/').split('/').collect();
        let serves_proxy = match parts[..] {
            ["api", version, "namespaces", _, plural, _, "proxy"] => {
                kinds::find("", version, plural).is_some_and(|kind| kind.serves(Subresource::Proxy))
            }
            _ => false,
        };
        if serves_proxy && (proxied_path.is_empty() || proxied_path.starts_with('/')) {
            return (own_path, Some(proxied_path));
        }
    }
    (path, None)
}

/// Forwards a request with the path `proxied_path`.
pub(super) async fn respond(
    api: &Api,
    info: &RequestInfo,
    proxied_path: &str,
    parts: Parts,
    body: Body,
) -> Result<Response, StatusError> {
    let target = Target::find(api, info)?;
    let own_path = parts
        .uri
        .path()
        .strip_suffix(proxied_path)
        .unwrap_or_default()
        .to_owned();
    if proxied_path.is_empty() && parts.method.is_safe() {
        // Relative links of a page resolve only below a path that ends with a slash.
        let query = query_suffix(&parts.uri);
        return Ok(Redirect::permanent(&format!("{own_path}/{query}")).into_response());
    }
    let runtime = container::runtime(api)?;
    let stream = runtime.connect(&target.sandbox, target.port).await;
    let stream = stream.map_err(|error| unreachable(&error))?;
    let request = proxied_request(&target, proxied_path, parts, body)?;
    let mut response = match target.scheme {
        Scheme::Http => exchange(stream, request).await?,
        Scheme::Https => exchange(connect_tls(stream).await?, request).await?,
    };
    rewrite_location(response.headers_mut(), &own_path);
    Ok(response)
}

fn query_suffix(uri: &Uri) -> String {
    uri.query()
        .map_or_else(String::new, |query| format!("?{query}"))
}

fn unreachable(error: &dyn std::fmt::Display) -> StatusError {
    StatusError::unavailable(format!("error trying to reach service: {error}"))
}

/// Performs a TLS handshake without verifying the certificate, as kube-apiserver does: pods' certificates are not known.
async fn connect_tls(stream: TcpStream) -> Result<TlsStream<TcpStream>, StatusError> {
    let config =
        probe::tls::build_client_config(None, None).map_err(|error| unreachable(&error))?;
    let name = ServerName::from(Ipv4Addr::LOCALHOST);
    let connected = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    connected.map_err(|error| unreachable(&error))
}

/// Sends one request and returns its response without hop-by-hop headers.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: http::Request<Body>,
) -> Result<Response, StatusError> {
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(|error| unreachable(&error))?;
    // The task ends when the response body is read or dropped.
    tokio::spawn(connection);
    let response = sender.send_request(request).await;
    let mut response = response.map_err(|error| unreachable(&error))?;
    remove_hop_by_hop_headers(response.headers_mut());
    Ok(response.map(Body::new))
}

/// Returns the request for the pod: without hop-by-hop headers and without the API's token.
fn proxied_request(
    target: &Target,
    proxied_path: &str,
    parts: Parts,
    body: Body,
) -> Result<http::Request<Body>, StatusError> {
    let path = if proxied_path.is_empty() {
        "/"
    } else {
        proxied_path
    };
    let query = query_suffix(&parts.uri);
    let uri: Uri = format!("{path}{query}")
        .parse()
        .map_err(|error| StatusError::bad_request(format!("invalid path {path:?}: {error}")))?;
    let mut request = http::Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = parts.headers;
    let headers = request.headers_mut();
    remove_hop_by_hop_headers(headers);
    headers.remove(AUTHORIZATION);
    let host = HeaderValue::from_str(&target.host);
    headers.insert(
        HOST,
        host.map_err(|_| StatusError::bad_request("the pod has no valid address"))?,
    );
    let forwarded = parts.uri.path().parse::<HeaderValue>();
    if let Ok(forwarded) = forwarded {
        headers.insert("x-forwarded-uri", forwarded);
    }
    Ok(request)
}

/// Removes hop-by-hop headers and those that the header `Connection` names.
fn remove_hop_by_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP_HEADERS.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Prefixes a `Location` on the same server with the API's path, so that redirects go through the proxy.
fn rewrite_location(headers: &mut HeaderMap, own_path: &str) {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(location) = location.filter(|to| to.starts_with('/') && !to.starts_with("//")) else {
        return;
    };
    if let Ok(rewritten) = HeaderValue::from_str(&format!("{own_path}{location}")) {
        headers.insert(LOCATION, rewritten);
    }
}

#[cfg(test)]
mod tests;
