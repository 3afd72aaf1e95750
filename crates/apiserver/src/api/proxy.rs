//! Requests that the API passes on to a pod, or to one of a service's (`…/pods/NAME:PORT/proxy/PATH`), for clients that reach
//! nothing else of the cluster.
//!
//! A pod is reached at its loopback, as by `kubectl port-forward`: a server that listens at its pod's address only is not.

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

use self::target::Target;
use super::path::Path;
use super::{Api, Failure, container};

mod target;

/// What says something of one connection and not of the request (RFC 9110, 7.6.1), and the API's own token.
const NOT_PASSED_ON: [HeaderName; 8] = [
    AUTHORIZATION,
    CONNECTION,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    http::header::TE,
    http::header::TRAILER,
    http::header::TRANSFER_ENCODING,
];

/// A path up to its `proxy`, and what follows that.
pub(super) fn split(path: &str) -> (&str, Option<&str>) {
    let ends = path
        .match_indices("/proxy")
        .map(|(at, found)| at + found.len());
    for end in ends {
        let (own, rest) = path.split_at(end);
        let parts: Vec<&str> = own.trim_start_matches('/').split('/').collect();
        let is_own = matches!(
            parts[..],
            [
                "api",
                "v1",
                "namespaces",
                _,
                "pods" | "services",
                _,
                "proxy"
            ]
        );
        if is_own && (rest.is_empty() || rest.starts_with('/')) {
            return (own, Some(rest));
        }
    }
    (path, None)
}

/// Passes a request on; `rest` is the path that the pod sees.
pub(super) async fn respond(
    api: &Api,
    path: &Path,
    rest: &str,
    parts: Parts,
    body: Body,
) -> Result<Response, Failure> {
    let target = Target::find(api, path)?;
    let own = parts
        .uri
        .path()
        .strip_suffix(rest)
        .unwrap_or_default()
        .to_owned();
    if rest.is_empty() && parts.method.is_safe() {
        // So that the links of a page lead on.
        let query = parts
            .uri
            .query()
            .map_or(String::new(), |query| format!("?{query}"));
        return Ok(Redirect::permanent(&format!("{own}/{query}")).into_response());
    }
    let runtime = container::runtime(api)?;
    let stream = runtime.connect(&target.sandbox, target.port).await;
    let stream = stream.map_err(|error| unreachable(&error))?;
    let request = request(&target, rest, parts, body)?;
    let mut response = if target.secure {
        exchange(over_tls(stream).await?, request).await?
    } else {
        exchange(stream, request).await?
    };
    mend(response.headers_mut(), &own);
    Ok(response)
}

fn unreachable(error: &dyn std::fmt::Display) -> Failure {
    Failure::unavailable(format!("error trying to reach service: {error}"))
}

/// Any certificate is good enough, as for the API server, which knows of none that pods have.
async fn over_tls(stream: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
    let config =
        probe::tls::build_client_config(None, None).map_err(|error| unreachable(&error))?;
    let name = ServerName::from(Ipv4Addr::LOCALHOST);
    let connected = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    connected.map_err(|error| unreachable(&error))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: http::Request<Body>,
) -> Result<Response, Failure> {
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(|error| unreachable(&error))?;
    // It ends with the response's body, or with whoever reads that.
    tokio::spawn(connection);
    let response = sender.send_request(request).await;
    let mut response = response.map_err(|error| unreachable(&error))?;
    drop_of_connection(response.headers_mut());
    Ok(response.map(Body::new))
}

fn request(
    target: &Target,
    rest: &str,
    parts: Parts,
    body: Body,
) -> Result<http::Request<Body>, Failure> {
    let path = if rest.is_empty() { "/" } else { rest };
    let query = parts
        .uri
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    let uri: Uri = format!("{path}{query}")
        .parse()
        .map_err(|error| Failure::bad_request(format!("invalid path {path:?}: {error}")))?;
    let mut request = http::Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = parts.headers;
    let headers = request.headers_mut();
    drop_of_connection(headers);
    headers.remove(AUTHORIZATION);
    let host = HeaderValue::from_str(&target.host);
    headers.insert(
        HOST,
        host.map_err(|_| Failure::bad_request("the pod has no address"))?,
    );
    let forwarded = parts.uri.path().parse::<HeaderValue>();
    if let Ok(forwarded) = forwarded {
        headers.insert("x-forwarded-uri", forwarded);
    }
    Ok(request)
}

fn drop_of_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in NOT_PASSED_ON.iter().skip(1).chain(&named) {
        headers.remove(name);
    }
}

/// A redirect within the pod leads where the API passes it on.
fn mend(headers: &mut HeaderMap, own: &str) {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(location) = location.filter(|to| to.starts_with('/') && !to.starts_with("//")) else {
        return;
    };
    if let Ok(mended) = HeaderValue::from_str(&format!("{own}{location}")) {
        headers.insert(LOCATION, mended);
    }
}

#[cfg(test)]
mod tests;
