//! One exchange of HTTP/2, up to the head of the response.

use tokio_util::task::AbortOnDropHandle;

use super::fault::{Fault, Stream};
use super::request::Request;
use super::response::{Body, Headers, Response};

/// Headers that belong to one connection of HTTP/1.1 and may not be sent here.
const OF_A_CONNECTION: [&str; 5] = [
    "Connection",
    "Proxy-Connection",
    "Keep-Alive",
    "Upgrade",
    "Te",
];

pub(super) async fn exchange(
    request: &Request<'_>,
    stream: Box<dyn Stream>,
) -> Result<Response, Fault> {
    let head = head(request)?;
    let (sender, connection) = h2::client::handshake(stream)
        .await
        .map_err(|error| fault(&error))?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a probe's HTTP/2 connection ended");
        }
    }));
    let mut sender = sender.ready().await.map_err(|error| fault(&error))?;
    let (response, _) = sender
        .send_request(head, true)
        .map_err(|error| fault(&error))?;
    let (parts, stream) = response.await.map_err(|error| fault(&error))?.into_parts();
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

fn head(request: &Request<'_>) -> Result<http::Request<()>, Fault> {
    let uri = http::Uri::builder()
        .scheme("https")
        .authority(request.authority())
        .path_and_query(request.url.request_target())
        .build()
        .map_err(|error| Fault::protocol(error.to_string()))?;
    let mut head = http::Request::get(uri).version(http::Version::HTTP_2);
    for (name, value) in request.lines()? {
        if !OF_A_CONNECTION.contains(&name) {
            head = head.header(name, value);
        }
    }
    head.body(())
        .map_err(|error| Fault::protocol(error.to_string()))
}

fn fault(error: &h2::Error) -> Fault {
    Fault::protocol(format!("http2: {error}"))
}
