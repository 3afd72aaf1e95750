//! A POST request on a new connection.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use crate::attempt::{Expiry, USER_AGENT, tls};
use crate::spec::TlsFiles;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Sends `body` and returns a description of the response.
pub(super) async fn post(
    url: &str,
    headers: &[(String, String)],
    files: Option<&TlsFiles>,
    body: String,
    timeout: Duration,
) -> Result<String, BoxError> {
    let sent = send(url.parse()?, headers, files, body);
    match tokio::time::timeout(timeout, sent).await {
        Ok(result) => result,
        Err(_) => Err(format!("no response within {timeout:?}").into()),
    }
}

async fn send(
    url: Uri,
    headers: &[(String, String)],
    files: Option<&TlsFiles>,
    body: String,
) -> Result<String, BoxError> {
    let host = url.host().ok_or("the URL has no host")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let secure = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let authority = url.authority().map(ToString::to_string).unwrap_or_default();
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::post(target)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(body))?;
    let stream = TcpStream::connect((bare, port)).await?;
    if !secure {
        return exchange(stream, request).await;
    }
    let files = files.cloned().unwrap_or_default();
    let config = tls::config(&files, Expiry::default())?;
    let name = files.server_name.unwrap_or_else(|| bare.to_owned());
    let connector = TlsConnector::from(Arc::new(config));
    exchange(
        connector
            .connect(ServerName::try_from(name)?, stream)
            .await?,
        request,
    )
    .await
}

async fn exchange<S>(stream: S, request: Request<Body>) -> Result<String, BoxError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let status = sender.send_request(request).await?.status();
    if status.is_success() {
        Ok(format!("response: {status}"))
    } else {
        Err(format!("response: {status}").into())
    }
}
