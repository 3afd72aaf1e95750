//! SPDY/3.1 as Kubernetes uses it: client-initiated streams over a connection that is upgraded from HTTP/1.1.

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use crate::api::StatusError;

#[cfg(test)]
pub(super) mod client;
pub(super) mod frames;
mod headers;
mod session;

pub(super) use headers::Headers;
pub(super) use session::{Stream, StreamHandler, serve};

const SPDY: &str = "SPDY/3.1";
const STREAM_PROTOCOL_HEADER: &str = "x-stream-protocol-version";

/// Returns the 101 response to an upgrade request, and the upgraded connection. Fails unless the client requests SPDY with
/// this stream protocol.
pub(super) fn upgrade(
    parts: &mut Parts,
    protocol: &'static str,
) -> Result<
    (
        Response,
        impl Future<Output = Option<TokioIo<Upgraded>>> + use<>,
    ),
    StatusError,
> {
    let has = |name: &str, value: &str| header_contains(&parts.headers, name, value);
    if !has("upgrade", SPDY) || !has("connection", "upgrade") {
        return Err(StatusError::bad_request(format!(
            "Upgrade request required: supported protocols are {SPDY} and WebSocket"
        )));
    }
    if !has(STREAM_PROTOCOL_HEADER, protocol) {
        return Err(StatusError::bad_request(format!(
            "unable to negotiate protocol: X-Stream-Protocol-Version must include {protocol}"
        )));
    }
    let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| {
        StatusError::bad_request(format!(
            "only HTTP/1.1 connections can be upgraded to {SPDY}"
        ))
    })?;
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, SPDY)
        .header(STREAM_PROTOCOL_HEADER, HeaderValue::from_static(protocol))
        .body(Body::empty());
    let connection = async {
        let upgraded = upgrade
            .await
            .inspect_err(|error| tracing::debug!(%error, "upgrade to SPDY failed"));
        upgraded.ok().map(TokioIo::new)
    };
    Ok((
        response.expect("a status and valid headers make a response"),
        connection,
    ))
}

/// Returns `true` if one of a header's values, which may be comma-separated lists, is `wanted`.
fn header_contains(headers: &HeaderMap, name: &str, wanted: &str) -> bool {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(wanted))
}
