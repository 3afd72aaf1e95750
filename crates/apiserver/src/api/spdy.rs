//! SPDY/3.1 as Kubernetes uses it: a client's streams over one connection, which takes the place of HTTP/1.1.

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use super::Failure;

#[cfg(test)]
pub(super) mod client;
pub(super) mod frames;
mod headers;
mod session;

pub(super) use headers::Headers;
pub(super) use session::{Stream, Streams, serve};

const SPDY: &str = "SPDY/3.1";
const STREAM_PROTOCOL: &str = "x-stream-protocol-version";

/// The connection of a client that asked for SPDY and for what is spoken on its streams, and the answer that gives it.
pub(super) fn upgrade(
    parts: &mut Parts,
    protocol: &'static str,
) -> Result<
    (
        Response,
        impl Future<Output = Option<TokioIo<Upgraded>>> + use<>,
    ),
    Failure,
> {
    let names = |name: &str, wanted: &str| lists(&parts.headers, name, wanted);
    if !names("upgrade", SPDY) || !names("connection", "upgrade") {
        return Err(Failure::bad_request(format!(
            "Upgrade request required: this is served over {SPDY} and WebSocket"
        )));
    }
    if !names(STREAM_PROTOCOL, protocol) {
        return Err(Failure::bad_request(format!(
            "unable to negotiate protocol: X-Stream-Protocol-Version has to offer {protocol}"
        )));
    }
    let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| {
        Failure::bad_request(format!(
            "{SPDY} takes the place of HTTP/1.1, and of no other"
        ))
    })?;
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, SPDY)
        .header(STREAM_PROTOCOL, HeaderValue::from_static(protocol))
        .body(Body::empty());
    let connection = async {
        let upgraded = upgrade
            .await
            .inspect_err(|error| tracing::debug!(%error, "a connection did not become SPDY"));
        upgraded.ok().map(TokioIo::new)
    };
    Ok((response.expect("these are headers"), connection))
}

/// Whether one of a header's values, which may be lists, is `wanted`.
fn lists(headers: &HeaderMap, name: &str, wanted: &str) -> bool {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(wanted))
}
