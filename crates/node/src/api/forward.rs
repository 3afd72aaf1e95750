//! Connections to a pod's ports, carried over one to the API: SPDY/3.1, which kubectl speaks by itself or within a WebSocket,
//! and the channels of `v4.channel.k8s.io`, which other clients use.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::path::Path;
use super::{Api, Failure, read};
use crate::runtime::SandboxId;

mod channels;
mod connection;
mod headers;
mod session;
mod spdy;
mod tunnel;

const SPDY: &str = "SPDY/3.1";
const STREAMS: &str = "portforward.k8s.io";
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const CHANNELS: &str = "v4.channel.k8s.io";
const STREAM_PROTOCOL: &str = "x-stream-protocol-version";

/// The most that is carried at a time.
const CHUNK: usize = 32 << 10;

/// A pod whose ports are asked for.
#[derive(Clone)]
struct Pod {
    name: String,
    uid: String,
    dial: Arc<dyn Fn(u16) -> BoxFuture<'static, io::Result<TcpStream>> + Send + Sync>,
}

impl Pod {
    fn find(api: &Api, path: &Path) -> Result<Self, Failure> {
        let name = path.name.clone().unwrap_or_default();
        let pod = read::object(api, path, &name)?;
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        if phase != "Running" {
            return Err(Failure::bad_request(format!(
                "pod {name:?} is not running: its phase is {phase}"
            )));
        }
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let runtime = api.runtime.clone();
        let runtime = runtime
            .ok_or_else(|| Failure::bad_request("this API has no node that runs containers"))?;
        let sandbox = SandboxId(uid.to_owned());
        Ok(Self {
            name,
            uid: uid.to_owned(),
            dial: Arc::new(move |port| {
                let (runtime, sandbox) = (runtime.clone(), sandbox.clone());
                Box::pin(async move { runtime.connect(&sandbox, port).await })
            }),
        })
    }

    /// A connection to one of its ports; without one, the kubelet's words for that.
    async fn connect(&self, port: u16) -> Result<TcpStream, String> {
        let (name, uid) = (&self.name, &self.uid);
        let connected = (self.dial)(port).await;
        connected.map_err(|error| {
            format!("error forwarding port {port} to pod {name}, uid {uid}: {error}")
        })
    }
}

pub(super) async fn respond(api: &Api, path: &Path, mut parts: Parts) -> Result<Response, Failure> {
    let pod = Pod::find(api, path)?;
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => over_web_socket(upgrade, pod, parts.uri.query().unwrap_or_default()),
        Err(_) => over_spdy(&mut parts, pod),
    }
}

fn over_web_socket(upgrade: WebSocketUpgrade, pod: Pod, query: &str) -> Result<Response, Failure> {
    let upgrade = upgrade.protocols([TUNNEL, CHANNELS]);
    let protocol = upgrade.selected_protocol();
    match protocol.and_then(|protocol| protocol.to_str().ok()) {
        Some(TUNNEL) => Ok(upgrade.on_upgrade(move |socket| tunnel::serve(socket, pod))),
        Some(CHANNELS) => {
            let ports = ports(query)?;
            Ok(upgrade.on_upgrade(move |socket| channels::serve(socket, pod, ports)))
        }
        _ => Err(Failure::bad_request(format!(
            "unable to negotiate protocol: ports are forwarded by {TUNNEL} and {CHANNELS}"
        ))),
    }
}

fn over_spdy(parts: &mut Parts, pod: Pod) -> Result<Response, Failure> {
    let names = |name: &str, wanted: &str| lists(&parts.headers, name, wanted);
    if !names("upgrade", SPDY) || !names("connection", "upgrade") {
        return Err(Failure::bad_request(format!(
            "Upgrade request required: ports are forwarded over {SPDY} or WebSocket"
        )));
    }
    if !names(STREAM_PROTOCOL, STREAMS) {
        return Err(Failure::bad_request(format!(
            "unable to negotiate protocol: X-Stream-Protocol-Version has to offer {STREAMS}"
        )));
    }
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or_else(|| {
        Failure::bad_request(format!(
            "{SPDY} takes the place of HTTP/1.1, and of no other"
        ))
    })?;
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => session::serve(TokioIo::new(connection), pod).await,
            Err(error) => tracing::debug!(%error, "a connection did not become SPDY"),
        }
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, SPDY)
        .header(STREAM_PROTOCOL, STREAMS)
        .body(Body::empty());
    Ok(response.expect("these are headers"))
}

/// Whether one of a header's values, which may be lists, is `wanted`.
fn lists(headers: &HeaderMap, name: &str, wanted: &str) -> bool {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(wanted))
}

/// The ports in the query, once each or in lists.
fn ports(query: &str) -> Result<Vec<u16>, Failure> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let values: Vec<_> = pairs
        .filter(|(name, _)| name == "ports")
        .map(|(_, value)| value)
        .collect();
    let ports: Result<Vec<u16>, _> = values
        .iter()
        .flat_map(|value| value.split(','))
        .map(|text| match text.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(Failure::bad_request(format!(
                "unable to parse {text:?} as a port: it has to be from 1 to 65535"
            ))),
        })
        .collect();
    match ports? {
        // Two channels each, numbered by a byte.
        ports if ports.len() > 128 => Err(Failure::bad_request("more than 128 ports")),
        ports if ports.is_empty() => Err(Failure::bad_request(
            "query parameter \"ports\" is required",
        )),
        ports => Ok(ports),
    }
}

#[cfg(test)]
mod tests;
