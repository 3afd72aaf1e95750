//! TLS for HTTP: protocol negotiation, and Go's error texts for servers that do not speak TLS.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio_rustls::TlsConnector;

use super::Http2;
use super::error::{HttpError, Stream};
use crate::dial::Connection;
use crate::outcome::Reason;
use crate::tls::Tls;

/// Sets the protocols that the client offers.
pub(super) fn set_protocols(mut config: ClientConfig, http2: Http2) -> Arc<ClientConfig> {
    config.alpn_protocols = match http2 {
        Http2::Offered => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Http2::Disabled => vec![b"http/1.1".to_vec()],
    };
    Arc::new(config)
}

/// A TLS session with its negotiated protocol.
pub(super) enum Session {
    Http1(Box<dyn Stream>),
    Http2(Box<dyn Stream>),
}

/// Starts TLS on `connection`.
pub(super) async fn handshake(
    tls: &Tls,
    host: &str,
    connection: Connection,
) -> Result<Session, HttpError> {
    let name = tls
        .server_name(host)
        .map_err(|error| HttpError::new(Reason::Tls, format!("tls: {error}")))?;
    let first_bytes = connection.first_bytes();
    match TlsConnector::from(tls.config.clone())
        .connect(name, connection)
        .await
    {
        Ok(stream) => {
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let stream = Box::new(stream);
            Ok(if is_http2 {
                Session::Http2(stream)
            } else {
                Session::Http1(stream)
            })
        }
        Err(_) if first_bytes.to_vec().starts_with(b"HTTP/") => Err(HttpError::new(
            Reason::Tls,
            "http: server gave HTTP response to HTTPS client",
        )),
        Err(_) if first_bytes.to_vec().is_empty() => Err(HttpError::new(Reason::Tls, "EOF")),
        Err(error) => Err(HttpError::new(Reason::Tls, format!("tls: {error}"))),
    }
}
