//! TLS for HTTP: which protocol is spoken, and what to say of a server that does not speak it.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio_rustls::TlsConnector;

use super::fault::{Fault, Stream};
use crate::dial::Connection;
use crate::outcome::Reason;
use crate::tls::Tls;

/// The protocols that are offered, HTTP/2 where `http2` is set.
pub(super) fn offering(mut config: ClientConfig, http2: bool) -> Arc<ClientConfig> {
    config.alpn_protocols = if http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Arc::new(config)
}

/// A session over `connection`, and whether HTTP/2 was agreed on.
pub(super) async fn handshake(
    tls: &Tls,
    host: &str,
    connection: Connection,
) -> Result<(Box<dyn Stream>, bool), Fault> {
    let name = tls
        .name(host)
        .map_err(|error| Fault::new(Reason::Tls, format!("tls: {error}")))?;
    let head = connection.head();
    match TlsConnector::from(tls.config.clone())
        .connect(name, connection)
        .await
    {
        Ok(stream) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            Ok((Box::new(stream), http2))
        }
        Err(_) if head.bytes().starts_with(b"HTTP/") => Err(Fault::new(
            Reason::Tls,
            "http: server gave HTTP response to HTTPS client",
        )),
        Err(_) if head.bytes().is_empty() => Err(Fault::new(Reason::Tls, "EOF")),
        Err(error) => Err(Fault::new(Reason::Tls, format!("tls: {error}"))),
    }
}
