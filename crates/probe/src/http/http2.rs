//! One HTTP/2 exchange, up to the headers of the response.

use tokio_util::task::AbortOnDropHandle;

use super::error::{HttpError, Stream};
use super::request::Request;
use super::response::{Body, Headers, Response};

/// Headers of HTTP/1.1 connections, which HTTP/2 forbids.
const HOP_BY_HOP_HEADERS: [&str; 5] = [
    "Connection",
    "Proxy-Connection",
    "Keep-Alive",
    "Upgrade",
    "Te",
];

pub(super) async fn exchange(
    request: &Request<'_>,
    stream: Box<dyn Stream>,
) -> Result<Response, HttpError> {
    let head = build_head(request)?;
    let (sender, connection) = h2::client::handshake(stream)
        .await
        .map_err(|error| http2_error(&error))?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "HTTP/2 connection of a probe failed");
        }
    }));
    let mut sender = sender.ready().await.map_err(|error| http2_error(&error))?;
    let (response, _) = sender
        .send_request(head, true)
        .map_err(|error| http2_error(&error))?;
    let (parts, stream) = response
        .await
        .map_err(|error| http2_error(&error))?
        .into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Response {
        status: parts.status.as_u16(),
        location: parts.headers.get(http::header::LOCATION).map(text),
        headers: Headers::Http2(parts.headers),
        body: Body::Http2 {
            stream,
            _connection: connection,
        },
    })
}

fn build_head(request: &Request<'_>) -> Result<http::Request<()>, HttpError> {
    let uri = http::Uri::builder()
        .scheme("https")
        .authority(request.authority())
        .path_and_query(request.url.request_target())
        .build()
        .map_err(|error| HttpError::protocol(error.to_string()))?;
    let mut head = http::Request::get(uri).version(http::Version::HTTP_2);
    for (name, value) in request.header_lines()? {
        if !HOP_BY_HOP_HEADERS.contains(&name) {
            head = head.header(name, value);
        }
    }
    head.body(())
        .map_err(|error| HttpError::protocol(error.to_string()))
}

fn http2_error(error: &h2::Error) -> HttpError {
    HttpError::protocol(format!("http2: {error}"))
}
